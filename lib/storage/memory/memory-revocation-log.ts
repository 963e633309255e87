import type { Clock } from '../../kernel/clock.js';
import { randomId } from '../../kernel/ids.js';
import {
  isPlaceEntry,
  type LogFollower,
  type LoggedRevocation,
  type LogPage,
  type RevocationEntry,
  RevocationLog,
} from '../../revocation/revocation-log.js';
import { Expiring } from './expiry-queue.js';
import { MemoryRoom } from './memory-room.js';
import { expectText } from './port-limits.js';

class Entry extends Expiring {
  constructor(
    /** Entries are counted from 1. */
    readonly number: number,
    readonly data: string,
    expiresAt: number,
  ) {
    super(expiresAt);
  }
}

/** A follower, and how far it is. */
interface Reader {
  readonly follower: LogFollower;
  after: number;
  state: 'waiting' | 'reading' | 'stopped';
}

const MAX_DATA = 1_024;
const MAX_AHEAD = 400 * 86_400_000;

/** So many entries are kept together; finding a place looks at one in so many. */
const CHUNK = 1_024;

/** Entries told to a follower at once. */
const BATCH = 1_000;

/** Milliseconds between two calls of `onCurrent`; a second is what followers are promised. */
const PULSE = 500;

/** The revocations of one process. A restart forgets them, and the keys of all tokens they concern. */
export class MemoryRevocationLog extends RevocationLog {
  /** In every position, so that one from before a restart is recognised. */
  readonly #id = randomId();
  /** By number, in order. Maps shrink: one entry that lives long keeps no place for its neighbours. */
  readonly #chunks = new Map<number, Map<number, Entry>>();
  readonly #room: MemoryRoom<Entry>;
  readonly #clock: Clock;
  readonly #readers = new Set<Reader>();
  /** Room that places in status lists never take: a quarter, for what ends tokens. */
  readonly #reserved: number;
  #last = 0;
  #pulse: NodeJS.Timeout | undefined;

  constructor(maxEntries: number, clock: Clock) {
    super();
    this.#clock = clock;
    this.#reserved = Math.floor(maxEntries / 4);
    this.#room = new MemoryRoom(maxEntries, clock, (entry) => this.#forget(entry));
  }

  async append({ data, expiresAt }: RevocationEntry): Promise<{ readonly position: string }> {
    const now = this.#room.enter();
    expectText(data, 'The data of a revocation', MAX_DATA);
    if (!(expiresAt <= now + MAX_AHEAD)) {
      throw new TypeError('A revocation expires at an instant at most 400 days ahead.');
    }
    // What has expired concerns no token, and needs no room.
    if (expiresAt > now) {
      // Whoever can log in can have places given: a flood of logins must not stop revoking.
      this.#room.expectRoom(isPlaceEntry({ data }) ? this.#reserved : 0);
      const entry = new Entry(++this.#last, data, expiresAt);
      const number = chunkOf(entry.number);
      const chunk = this.#chunks.get(number) ?? new Map<number, Entry>();
      this.#chunks.set(number, chunk.set(entry.number, entry));
      this.#room.add(entry);
    } else {
      this.#last++;
    }
    const position = this.#positionOf(this.#last);
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
    this.#room.enter();
    if (!(Number.isSafeInteger(limit) && limit > 0)) {
      throw new TypeError('limit is a positive whole number.');
    }
    const start = this.#numberAt(after);
    if (start === undefined) return { verdict: 'lost' };
    const found = this.#entriesAfter(start, limit + 1);
    const entries = found.slice(0, limit);
    const atEnd = found.length <= limit;
    const end = atEnd ? this.#last : (entries.at(-1)?.number ?? start);
    return {
      verdict: 'read',
      entries: entries.map((entry) => this.#logged(entry)),
      position: end === 0 ? null : this.#positionOf(end),
      atEnd,
    };
  }

  follow(follower: LogFollower): () => void {
    if (!this.#room.isOpen) return () => {};
    const after = this.#numberAt(follower.after);
    const reader: Reader = { follower, after: after ?? 0, state: 'waiting' };
    const stop = (): void => this.#stop(reader);
    // Later, so that nobody is called back before it knows how to end that.
    queueMicrotask(() => {
      if (after === undefined && reader.state !== 'stopped') {
        stop();
        call(follower.onLost);
      } else {
        this.#tell(reader);
      }
    });
    if (after !== undefined) {
      this.#readers.add(reader);
      this.#pulse ??= setInterval(() => {
        for (const each of this.#readers) this.#tell(each);
      }, PULSE).unref();
    }
    return stop;
  }

  /** How many entries are held, expired ones that were not swept included. */
  get size(): number {
    return this.#room.size;
  }

  close(): void {
    this.#room.close();
    for (const reader of this.#readers) this.#stop(reader);
  }

  /** All that is new to a follower, and that there is no more. */
  #tell(reader: Reader): void {
    // A follower that appends while it is told hears of it by the loop that is telling it.
    if (reader.state !== 'waiting') return;
    reader.state = 'reading';
    while (isReading(reader) && reader.after < this.#last) {
      const entries = this.#entriesAfter(reader.after, BATCH);
      reader.after = entries.length < BATCH ? this.#last : (entries.at(-1)?.number ?? this.#last);
      if (entries.length === 0) break;
      const logged = entries.map((entry) => this.#logged(entry));
      call(() => reader.follower.onEntries(logged));
    }
    if (!isReading(reader)) return;
    call(reader.follower.onCurrent);
    if (isReading(reader)) reader.state = 'waiting';
  }

  #stop(reader: Reader): void {
    reader.state = 'stopped';
    this.#readers.delete(reader);
    if (this.#readers.size > 0) return;
    clearInterval(this.#pulse);
    this.#pulse = undefined;
  }

  #entriesAfter(after: number, limit: number): readonly Entry[] {
    const now = this.#clock.now();
    const entries: Entry[] = [];
    for (const [number, chunk] of this.#chunks) {
      if (number < chunkOf(after)) continue;
      for (const entry of chunk.values()) {
        if (entry.number <= after || entry.expiresAt <= now) continue;
        if (entries.push(entry) === limit) return entries;
      }
    }
    return entries;
  }

  #logged({ number, data, expiresAt }: Entry): LoggedRevocation {
    return { data, expiresAt, position: this.#positionOf(number) };
  }

  #positionOf(number: number): string {
    return `${this.#id}.${number}`;
  }

  /** The number a position stands for: 0 for the start, `undefined` for another log's. */
  #numberAt(position: string | null): number | undefined {
    if (position === null) return 0;
    const number = Number(position.slice(this.#id.length + 1));
    const isOurs = number >= 1 && number <= this.#last && position === this.#positionOf(number);
    return isOurs ? number : undefined;
  }

  #forget({ number }: Entry): void {
    const chunk = this.#chunks.get(chunkOf(number));
    chunk?.delete(number);
    if (chunk?.size === 0) this.#chunks.delete(chunkOf(number));
  }
}

function chunkOf(number: number): number {
  return Math.floor(number / CHUNK);
}

/** Asked anew each time: a follower can be stopped by what it is told. */
function isReading(reader: Reader): boolean {
  return reader.state === 'reading';
}

function call(listener: () => void): void {
  try {
    listener();
  } catch {
    // The entry is in the log; what a follower makes of it is its own affair.
  }
}
