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
import { APPEND, JUDGE } from './log-scripts.js';
import type { RedisClient } from './redis-clients.js';
import { corrupt, unavailable } from './redis-failure.js';
import type { RedisGate } from './redis-gate.js';
import { expectText, expectWhole, type RedisKeys } from './redis-keys.js';
import type { RedisReply } from './redis-reply.js';

const MAX_DATA_BYTES = 1024;

/** However many are asked for: a page must arrive within a deadline. */
const MAX_PAGE = 2_000;

/** A log that is replaced while it is read is read again, so often at most. */
const MAX_ATTEMPTS = 3;

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
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const page = pageFrom(await this.#readFrom(from, size), from, size);
      if (page === 'anew') return this.read({ after: null, limit });
      if (page !== 'changed') return page;
    }
    throw unavailable(`The log was replaced again and again while ${READING}`);
  }

  /**
   * Judges the position, reads on from it, and judges it again: a page between two judgements of one
   * log is that log's. Without `MULTI`, which Redis refuses when it has no memory left, and
   * revocations must be known then too.
   */
  #readFrom(from: LogPosition | null, size: number): Promise<RedisReply> {
    const [entries, state] = this.#keys;
    const position = [
      from?.log ?? '',
      from?.entry ?? '',
      String(from?.expiresAt ?? 0),
      String(from?.logEndsAt ?? 0),
    ];
    const judge = [JUDGE.text, 2, entries, state, ...position] as const;
    // Not inside the script: passing a page through Lua takes several times as long.
    const send = async (client: RedisClient): Promise<unknown> => {
      const results = await client
        .pipeline()
        .eval(...judge)
        .xrange(entries, from === null ? '-' : `(${from.entry}`, '+', 'COUNT', size)
        .eval(...judge)
        .exec();
      return (results ?? []).map(([error, reply]) => {
        if (error !== null) throw error;
        return reply;
      });
    };
    return this.#gate.call({ task: READING, key: entries, send });
  }

  follow(follower: LogFollower): () => void {
    return this.#followers.add(follower, (request) => this.read(request));
  }
}

function pageFrom(
  reply: RedisReply,
  from: LogPosition | null,
  size: number,
): LogPage | 'anew' | 'changed' {
  const [judgement, page, judgementAfter] = reply.tuple(3);
  const verdict = verdictOf(judgement);
  switch (verdict) {
    case 'anew':
      return verdict;
    case 'lost':
      return { verdict };
    case 'empty':
      return { verdict: 'read', entries: [], position: null, atEnd: true };
    case 'read':
  }
  const [, id, lastNumber] = judgement.tuple(3);
  const log = id.text();
  if (verdictOf(judgementAfter) !== 'read' || judgementAfter.tuple(3)[1].text() !== log) {
    return 'changed';
  }
  if (!isLogId(log)) throw corrupt(READING);
  const scanned = page.items();
  const entries: LoggedRevocation[] = [];
  let position = from === null ? null : formatPosition(from);
  let number = from === null ? 0 : numberOf(from.entry);
  for (const item of scanned) {
    const { entry, ...logged } = entryFrom(item, log);
    // Numbers that were given before: the log went on from an older state of itself.
    if (numberOf(entry) <= number) return { verdict: 'lost' };
    number = numberOf(entry);
    position = logged.position;
    // Also what has expired by the store's clock: that one may be ahead of who judges the token.
    entries.push(logged);
  }
  const atEnd = scanned.length < size || number >= lastNumber.count();
  return { verdict, entries, position, atEnd };
}

function verdictOf(judgement: RedisReply): 'lost' | 'empty' | 'anew' | 'read' {
  const verdict = judgement.list()[0]?.word(['lost', 'empty', 'anew', 'read']);
  if (verdict === undefined) throw corrupt(READING);
  return verdict;
}

/** When it expires, when the log up to it has expired, and the text. */
const ENTRY = /^(\d{1,16}):(\d{1,16}):([^]*)$/;

/** Without a `RedisReply` for each part: a new instance reads a million of them. */
function entryFrom(item: unknown, log: string): LoggedRevocation & { readonly entry: string } {
  const [entry, fields] = Array.isArray(item) ? (item as readonly unknown[]) : [];
  const [name, text, ...others] = Array.isArray(fields) ? (fields as readonly unknown[]) : [];
  const parts = typeof text === 'string' ? ENTRY.exec(text) : null;
  if (typeof entry !== 'string' || !isEntryId(entry) || name !== 'e' || others.length > 0) {
    throw corrupt(READING);
  }
  const [, expiry, end, data] = parts ?? [];
  if (expiry === undefined || data === undefined) throw corrupt(READING);
  // As formatPosition() writes it.
  const position = `${log}:${entry}:${expiry}:${end}`;
  return { entry, data, expiresAt: Number(expiry), position };
}
