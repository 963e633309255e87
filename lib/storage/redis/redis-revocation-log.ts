import { randomId } from '../../kernel/ids.js';
import {
  type LogFollower,
  type LogPage,
  type LoggedRevocation,
  type RevocationEntry,
  RevocationLog,
} from '../../revocation/revocation-log.js';
import type { LogFollowers } from './log-followers.js';
import {
  formatPosition,
  isEntryId,
  isLogId,
  type LogPosition,
  numberOf,
  parsePosition,
} from './log-position.js';
import { APPEND, READ } from './log-scripts.js';
import { corrupt } from './redis-failure.js';
import type { RedisGate } from './redis-gate.js';
import { expectText, expectWhole, type RedisKeys } from './redis-keys.js';
import type { RedisReply } from './redis-reply.js';

const MAX_DATA_BYTES = 1024;

/**
 * However many are asked for. Redis serves nobody else while it prepares a page, a millisecond or
 * two of so many; and when many instances start at once, each waits for a page of every other.
 */
const MAX_PAGE = 1_000;

const APPENDING = 'appending a revocation';
const READING = 'reading revocations';

/** The log as a stream. */
export class RedisRevocationLog extends RevocationLog {
  readonly #gate: RedisGate;
  readonly #durable: RedisGate;
  readonly #keys: readonly [string, string];
  readonly #followers: LogFollowers;

  /** @param durable answers once an entry holds as firmly as was configured */
  constructor(gate: RedisGate, durable: RedisGate, keys: RedisKeys, followers: LogFollowers) {
    super();
    this.#gate = gate;
    this.#durable = durable;
    this.#keys = [keys.log(), keys.logState()];
    this.#followers = followers;
  }

  async append({ data, expiresAt }: RevocationEntry): Promise<{ readonly position: string }> {
    expectText(data, 'A revocation', MAX_DATA_BYTES);
    expectWhole(expiresAt, 'The expiry of a revocation', 0);
    const reply = await this.#durable.run({
      task: APPENDING,
      script: APPEND,
      keys: this.#keys,
      args: [data, String(expiresAt), randomId()],
    });
    if (reply.list().length === 1) {
      throw new TypeError('The expiry of a revocation is more than 400 days ahead.');
    }
    const [log, entry, logEndsAt] = reply.tuple(3);
    const position = {
      log: log.text(),
      entry: entry.text(),
      expiresAt,
      logEndsAt: logEndsAt.count(),
    };
    if (!isLogId(position.log) || !isEntryId(position.entry)) throw corrupt(APPENDING);
    return { position: formatPosition(position) };
  }

  async read({
    after,
    limit,
  }: {
    readonly after: string | null;
    readonly limit: number;
  }): Promise<LogPage> {
    expectWhole(limit, 'The limit of a page', 1);
    const from = after === null ? null : parsePosition(after);
    // Not even the form is ours: another kind of log.
    if (from === undefined) return { verdict: 'lost' };
    const size = Math.min(limit, MAX_PAGE);
    const reply = await this.#gate.run({
      task: READING,
      script: READ,
      keys: this.#keys,
      args: [
        from?.log ?? '',
        from?.entry ?? '',
        String(from?.expiresAt ?? 0),
        String(from?.logEndsAt ?? 0),
        String(size),
      ],
    });
    const page = pageFrom(reply, from, size);
    return page === 'anew' ? this.read({ after: null, limit }) : page;
  }

  follow(follower: LogFollower): () => void {
    const end = this.#followers.add(follower, (request) => this.read(request));
    // Only its probes tell whether replicas are there, and whoever just follows never calls it.
    this.#durable.watch();
    return end;
  }
}

function pageFrom(reply: RedisReply, from: LogPosition | null, size: number): LogPage | 'anew' {
  const verdict = verdictOf(reply);
  switch (verdict) {
    case 'anew':
      return verdict;
    case 'lost':
      return { verdict };
    case 'empty':
      return { verdict: 'read', entries: [], position: null, atEnd: true };
    case 'read':
  }
  const [, id, lastNumber, page] = reply.tuple(4);
  const log = id.text();
  if (!isLogId(log)) throw corrupt(READING);
  const texts = textsFrom(page.text());
  const entries: LoggedRevocation[] = [];
  let position = from === null ? null : formatPosition(from);
  let last = from === null ? 0 : numberOf(from.entry);
  for (const text of texts) {
    const { number, entry } = entryFrom(text, log);
    // Numbers that were given before: the log went on from an older state of itself.
    if (number <= last) return { verdict: 'lost' };
    last = number;
    position = entry.position;
    // Also what has expired by the store's clock: that one may be ahead of who judges the token.
    entries.push(entry);
  }
  const atEnd = texts.length < size || last >= lastNumber.count();
  return { verdict, entries, position, atEnd };
}

function verdictOf(reply: RedisReply): 'lost' | 'empty' | 'anew' | 'read' {
  const verdict = reply.list()[0]?.word(['lost', 'empty', 'anew', 'read']);
  if (verdict === undefined) throw corrupt(READING);
  return verdict;
}

function textsFrom(page: string): readonly unknown[] {
  let texts: unknown;
  try {
    texts = JSON.parse(page);
  } catch {
    throw corrupt(READING);
  }
  if (!Array.isArray(texts)) throw corrupt(READING);
  return texts as readonly unknown[];
}

/** Time and number, when it expires, when the log up to it has expired; then comes the text. */
const HEAD = /^\d{1,16}-\d{1,16}:\d{1,16}:\d{1,16}:/;

/** By hand, where a pattern with groups would read better: a new instance reads a million of them. */
function entryFrom(
  text: unknown,
  log: string,
): { readonly number: number; readonly entry: LoggedRevocation } {
  if (typeof text !== 'string' || !HEAD.test(text)) throw corrupt(READING);
  const idEnd = text.indexOf(':');
  const expiryEnd = text.indexOf(':', idEnd + 1);
  const headEnd = text.indexOf(':', expiryEnd + 1);
  return {
    number: Number(text.slice(text.indexOf('-') + 1, idEnd)),
    entry: {
      data: text.slice(headEnd + 1),
      expiresAt: Number(text.slice(idEnd + 1, expiryEnd)),
      // As formatPosition() writes it.
      position: `${log}:${text.slice(0, headEnd)}`,
    },
  };
}
