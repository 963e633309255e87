import { randomId } from '../../kernel/ids.js';
import {
  type LogFollower,
  type LogPage,
  type LoggedRevocation,
  type RevocationEntry,
  RevocationLog,
} from '../../revocation/revocation-log.js';
import type { LogFollowers } from './log-followers.js';
import { formatPosition, type LogPosition, numberOf, parsePosition } from './log-position.js';
import { APPEND, READ } from './log-scripts.js';
import { corrupt } from './redis-failure.js';
import type { RedisGate } from './redis-gate.js';
import { expectText, expectWhole, type RedisKeys } from './redis-keys.js';
import type { RedisReply } from './redis-reply.js';

const MAX_DATA_BYTES = 1024;

/** However many are asked for: a page must arrive within a deadline. */
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
    return { position: writePosition(position, APPENDING) };
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
    return pageFrom(reply, after, size);
  }

  follow(follower: LogFollower): () => void {
    return this.#followers.add(follower, (request) => this.read(request));
  }
}

function pageFrom(reply: RedisReply, after: string | null, size: number): LogPage {
  const verdict = reply.list()[0]?.word(['lost', 'empty', 'read']);
  if (verdict === undefined) throw corrupt(READING);
  if (verdict === 'lost') return { verdict };
  if (verdict === 'empty') return { verdict: 'read', entries: [], position: null, atEnd: true };
  const [, time, log, lastNumber, page] = reply.tuple(5);
  const now = time.count();
  const scanned = page.list().map((item) => entryFrom(item, log.text()));
  const last = scanned.at(-1);
  return {
    verdict: 'read',
    entries: scanned.map(({ logged }) => logged).filter(({ expiresAt }) => expiresAt > now),
    position: last?.logged.position ?? (after !== null && isOf(after, log.text()) ? after : null),
    atEnd: scanned.length < size || last?.number === lastNumber.count(),
  };
}

/** A position of a log that ended in the meantime leads nowhere. */
function isOf(position: string, log: string): boolean {
  return parsePosition(position)?.log === log;
}

function entryFrom(
  reply: RedisReply,
  log: string,
): { readonly logged: LoggedRevocation; readonly number: number } {
  const [id, fields] = reply.tuple(2);
  const [expiryName, expiry, endName, end, dataName, data] = fields.tuple(6);
  expiryName.word(['e']);
  endName.word(['u']);
  dataName.word(['d']);
  const entry = id.text();
  const expiresAt = expiry.count();
  const position = writePosition({ log, entry, expiresAt, logEndsAt: end.count() }, READING);
  return { logged: { data: data.text(), expiresAt, position }, number: numberOf(entry) };
}

/** A position that could not be read back would make its reader start anew for ever. */
function writePosition(position: LogPosition, task: string): string {
  const text = formatPosition(position);
  if (parsePosition(text) === undefined) throw corrupt(task);
  return text;
}
