import { StoreError, type StoreErrorCode } from '../../kernel/errors.js';

/**
 * Turns what Redis or ioredis said into an error of ours. The original never travels along: it holds
 * addresses, and the command with all that was stored.
 */

/** The words Redis begins its error replies with, as far as one tells operators something. */
const REPLY_CODES = [
  'OOM',
  'WRONGTYPE',
  'READONLY',
  'LOADING',
  'BUSY',
  'MASTERDOWN',
  'NOREPLICAS',
  'CLUSTERDOWN',
  'TRYAGAIN',
  'CROSSSLOT',
  'MOVED',
  'ASK',
  'MISCONF',
  'NOAUTH',
  'NOPERM',
  'WRONGPASS',
  'NOSCRIPT',
  'EXECABORT',
  'ERR',
] as const;

/** Before Redis 7 the code of a command inside a script stands in the middle of the text. */
const REPLY_CODE = new RegExp(`^(${REPLY_CODES.join('|')})\\b`);
const INNER_CODE = /-(OOM|WRONGTYPE|READONLY|MISCONF|NOREPLICAS)\b/;

type ReplyCode = (typeof REPLY_CODES)[number];

/** The code of an error reply; `undefined` for any other failure. */
export function replyCodeOf(error: unknown): ReplyCode | undefined {
  if (!(error instanceof Error) || error.name !== 'ReplyError') return undefined;
  const code = (INNER_CODE.exec(error.message) ?? REPLY_CODE.exec(error.message))?.[1];
  return REPLY_CODES.find((known) => known === code);
}

/** A script the server does not know, because it restarted or was never asked before. */
export function isUnknownScript(error: unknown): boolean {
  return replyCodeOf(error) === 'NOSCRIPT';
}

/** `WAIT` counted fewer replicas than a change needs. What was written stays where it is. */
export class TooFewReplicas extends Error {
  override readonly name = 'TooFewReplicas';
}

/** What became of a call, told by the error it failed with. */
export interface Failure {
  readonly error: StoreError;
  /** Whether the server is of no use now; an answer about this one call is not such a sign. */
  readonly isOutage: boolean;
  /** Whether this one failure proves an outage; others must come in a row. */
  readonly isCertain: boolean;
  /** In a word, for operators. */
  readonly detail: string;
}

/** @param task what was tried, as the end of a sentence: "rotating a session" */
export function failureOf(error: unknown, task: string): Failure {
  if (error instanceof StoreError) {
    const isOutage = error.code === 'ERR_STORE_UNAVAILABLE';
    return { error, isOutage, isCertain: false, detail: 'no answer in time' };
  }
  if (error instanceof TooFewReplicas) {
    const told = unavailable(`Too few replicas acknowledged ${task}`);
    return { error: told, isOutage: true, isCertain: true, detail: 'too few replicas' };
  }
  const code = replyCodeOf(error);
  switch (code) {
    case 'OOM':
      return answer('ERR_STORE_FULL', `Redis has no memory left for ${task}`);
    case 'WRONGTYPE':
      return answer('ERR_STORE_CORRUPT', `Redis holds something else where ${task} looked`);
    case 'READONLY':
    case 'NOREPLICAS':
      return { ...outage(`Redis answered ${code} to ${task}`, `answers ${code}`), isCertain: true };
    case undefined:
      return outage(`The connection to Redis failed while ${task}`, 'connection failed');
    default:
      return outage(`Redis answered ${code} to ${task}`, `answers ${code}`);
  }
}

export function unavailable(message: string): StoreError {
  return new StoreError('ERR_STORE_UNAVAILABLE', `${message}.`);
}

export function closed(): StoreError {
  return new StoreError('ERR_STORE_CLOSED', 'redisStorage() was closed.');
}

export function corrupt(task: string): StoreError {
  return new StoreError('ERR_STORE_CORRUPT', `Redis holds what was never stored by ${task}.`);
}

function answer(code: StoreErrorCode, message: string): Failure {
  return {
    error: new StoreError(code, `${message}.`),
    isOutage: false,
    isCertain: false,
    detail: '',
  };
}

function outage(message: string, detail: string): Failure {
  return { error: unavailable(message), isOutage: true, isCertain: false, detail };
}
