import type { Clock } from '../../kernel/clock.js';
import { StoreError } from '../../kernel/errors.js';
import { randomId } from '../../kernel/ids.js';
import { isJsonObject, parseStrictJson } from '../../kernel/strict-json.js';
import {
  type LogFollower,
  type LogPage,
  type RevocationEntry,
  RevocationLog,
} from '../../revocation/revocation-log.js';
import type { CacheShelf } from './cache-shelf.js';
import { type FoundEntry, ObservedLog } from './observed-log.js';

interface Reader {
  readonly follower: LogFollower;
  /** What its position is of: the log that is read first, or none that this instance has. */
  log: ObservedLog | 'first' | 'none';
  after: number;
  isStopped: boolean;
}

const ENTRY = 'revocation.';
const WITNESS = 'witness.';

const MAX_DATA = 1_024;
const MAX_AHEAD = 400 * 86_400_000;

/** Entries told to a follower at once. */
const BATCH = 1_000;

/** Milliseconds from one look at the log to the next; a second is what followers are promised. */
const PAUSE = 500;

/**
 * Milliseconds an entry stays in the backend after it expired: clocks of instances differ, and one
 * that is ahead must not let a revocation vanish early for the others.
 */
const MARGIN = 300_000;

/**
 * Revocations in a cache, each under a key of its own that no other instance writes: nothing has to
 * be atomic. Each instance finds them by listing the cache, in an order of its own.
 */
export class CacheRevocationLog extends RevocationLog {
  readonly #shelf: CacheShelf;
  readonly #clock: Clock;
  readonly #maxEntries: number;
  readonly #writer = randomId();
  readonly #readers = new Set<Reader>();
  #log: ObservedLog | undefined;
  #appended = 0;
  #latest = 0;
  #running: Promise<ObservedLog> | undefined;
  #queued: Promise<ObservedLog> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #open = true;

  constructor(shelf: CacheShelf, clock: Clock, maxEntries: number) {
    super();
    this.#shelf = shelf;
    this.#clock = clock;
    this.#maxEntries = maxEntries;
  }

  async append({ data, expiresAt }: RevocationEntry): Promise<{ readonly position: string }> {
    this.#expectOpen();
    const now = this.#clock.now();
    if (typeof data !== 'string' || Buffer.byteLength(data) > MAX_DATA) {
      throw new TypeError(`The data of a revocation is a text of at most ${MAX_DATA} bytes.`);
    }
    if (!(expiresAt <= now + MAX_AHEAD)) {
      throw new TypeError('A revocation expires at an instant at most 400 days ahead.');
    }
    const known = this.#log ?? (await this.#refresh());
    if (expiresAt <= now) return { position: known.skip() };
    if (known.size >= this.#maxEntries) known.dropExpired(now);
    if (known.size >= this.#maxEntries) {
      throw new StoreError(
        'ERR_STORE_FULL',
        `The revocation log holds ${this.#maxEntries} entries (maxEntries), and none of them expired.`,
      );
    }
    const entry: FoundEntry = { name: this.#nextName(now), data, expiresAt };
    const text = JSON.stringify({ data, expiresAt });
    await this.#shelf.put(entry.name, text, expiresAt - now + MARGIN);
    // The log can have been lost meanwhile; then it has a new one.
    const position = (this.#log ?? known).add(entry);
    for (const reader of this.#readers) this.#tell(reader);
    return { position };
  }

  async read({
    after,
    limit,
  }: {
    readonly after: string | null;
    readonly limit: number;
  }): Promise<LogPage> {
    this.#expectOpen();
    if (!(Number.isSafeInteger(limit) && limit > 0)) {
      throw new TypeError('limit is a positive whole number.');
    }
    // What is known and not the end does not change by looking again.
    const known = after === null ? undefined : this.#log;
    const page = known && pageOf(known, after, limit, this.#clock.now());
    if (page?.verdict === 'read' && !page.atEnd) return page;
    return pageOf(await this.#refresh(), after, limit, this.#clock.now());
  }

  follow(follower: LogFollower): () => void {
    const after = this.#log?.numberAt(follower.after);
    const isFirst = this.#log === undefined && follower.after === null;
    const log = isFirst ? 'first' : after === undefined ? 'none' : (this.#log ?? 'none');
    const reader: Reader = { follower, log, after: after ?? 0, isStopped: !this.#open };
    if (this.#open) {
      this.#readers.add(reader);
      this.#lookIn(0);
    }
    return () => this.#stop(reader);
  }

  close(): void {
    this.#open = false;
    for (const reader of this.#readers) this.#stop(reader);
  }

  /** Lists the cache, beginning after the call: what was acknowledged before it is seen. */
  #refresh(): Promise<ObservedLog> {
    this.#queued ??= this.#lookNext();
    return this.#queued;
  }

  /** One look at a time; those who ask while it goes on share the next one. */
  async #lookNext(): Promise<ObservedLog> {
    // Always takes a turn, so that those who ask within it are served by the same look.
    await this.#running?.catch(() => {});
    this.#queued = undefined;
    this.#running = this.#look();
    return this.#running;
  }

  async #look(): Promise<ObservedLog> {
    const before = this.#log;
    before?.dropExpired(this.#clock.now());
    const expected = before === undefined ? [] : before.namesUpTo(before.last);
    const found = await this.#shelf.list();
    const isWhole =
      before !== undefined && (await this.#hasAll([before.witness, ...expected], found));
    const log = isWhole ? before : await this.#begin(found);
    const now = this.#clock.now();
    const entries = [...found]
      .filter(([name]) => name.startsWith(ENTRY) && !log.has(name))
      .map(([name, text]) => ({ name, ...parseEntry(text) }))
      .filter(({ expiresAt }) => expiresAt > now)
      .toSorted((a, b) => (a.name < b.name ? -1 : 1));
    for (const entry of entries) log.add(entry);
    this.#log = log;
    return log;
  }

  /** A listing can skip what is there while others delete, so that what it lacks is asked for. */
  async #hasAll(names: readonly string[], found: ReadonlyMap<string, unknown>): Promise<boolean> {
    for (const name of names) {
      if (!found.has(name) && !(await this.#shelf.has(name))) return false;
    }
    return true;
  }

  /**
   * A new log, with a witness that is in the backend. Instances that begin at once can have one each;
   * any of them will do, as long as it stays.
   */
  async #begin(found: ReadonlyMap<string, unknown>): Promise<ObservedLog> {
    const standing = [...found.keys()].find((name) => name.startsWith(WITNESS));
    if (standing !== undefined) return new ObservedLog(standing);
    const witness = WITNESS + randomId();
    await this.#shelf.put(witness, '{}', 0);
    if (!(await this.#shelf.list()).has(witness)) {
      throw new StoreError('ERR_STORE_UNAVAILABLE', 'The cache does not list what it keeps.');
    }
    return new ObservedLog(witness);
  }

  #nextName(now: number): string {
    // Never earlier than the one before, so that what this instance appends stays in order.
    this.#latest = Math.max(this.#latest, Math.floor(now));
    const at = String(this.#latest).padStart(15, '0');
    const number = String(++this.#appended).padStart(12, '0');
    return `${ENTRY}${at}.${this.#writer}.${number}`;
  }

  #lookIn(ms: number): void {
    this.#timer ??= setTimeout(() => void this.#lookForAll(), ms).unref();
  }

  async #lookForAll(): Promise<void> {
    try {
      await this.#refresh();
      for (const reader of this.#readers) {
        this.#tell(reader);
        if (!reader.isStopped) call(reader.follower.onCurrent);
      }
    } catch {
      // The health of the storage says so; followers hear nothing until it is back.
    }
    this.#timer = undefined;
    if (this.#readers.size > 0) this.#lookIn(PAUSE);
  }

  /** All that is new to a follower, or that its log is no longer the one it followed. */
  #tell(reader: Reader): void {
    const log = this.#log;
    if (log === undefined || reader.isStopped) return;
    if (reader.log === 'first') reader.log = log;
    if (reader.log !== log) {
      this.#stop(reader);
      call(reader.follower.onLost);
      return;
    }
    while (!reader.isStopped && reader.after < log.last) {
      const entries = log.after(reader.after, BATCH, this.#clock.now());
      // Moved before it is told: a follower that appends meanwhile is told of that by the way.
      reader.after = entries.length < BATCH ? log.last : (entries.at(-1)?.number ?? log.last);
      if (entries.length === 0) return;
      const logged = entries.map(({ data, expiresAt, position }) => ({
        data,
        expiresAt,
        position,
      }));
      call(() => reader.follower.onEntries(logged));
    }
  }

  #stop(reader: Reader): void {
    reader.isStopped = true;
    this.#readers.delete(reader);
    if (this.#readers.size > 0) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #expectOpen(): void {
    if (!this.#open) throw new StoreError('ERR_STORE_CLOSED', 'The cache storage was closed.');
  }
}

function pageOf(log: ObservedLog, after: string | null, limit: number, now: number): LogPage {
  const start = log.numberAt(after);
  if (start === undefined) return { verdict: 'lost' };
  const found = log.after(start, limit + 1, now);
  const entries = found.slice(0, limit);
  const atEnd = found.length <= limit;
  const end = atEnd ? log.last : (entries.at(-1)?.number ?? start);
  return {
    verdict: 'read',
    entries: entries.map(({ data, expiresAt, position }) => ({ data, expiresAt, position })),
    position: end === 0 ? null : log.positionOf(end),
    atEnd,
  };
}

/** @throws StoreError `ERR_STORE_CORRUPT`: a revocation that cannot be read is not passed over */
function parseEntry(text: unknown): RevocationEntry {
  const value = typeof text === 'string' ? parseStrictJson(Buffer.from(text)) : undefined;
  const { data, expiresAt } = isJsonObject(value) ? value : {};
  if (typeof data !== 'string' || typeof expiresAt !== 'number') {
    throw new StoreError('ERR_STORE_CORRUPT', 'The cache holds a revocation that is none.');
  }
  return { data, expiresAt };
}

function call(listener: () => void): void {
  try {
    listener();
  } catch {
    // The entry is in the log; what a follower makes of it is its own affair.
  }
}
