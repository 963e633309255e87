import { AttemptStore, type Attempts } from '../../abuse/attempt-store.js';
import type { Clock } from '../../kernel/clock.js';
import { Expiring } from './expiry-queue.js';
import { MemoryRoom } from './memory-room.js';
import { expectDuration, expectKey } from './port-limits.js';

class Tally extends Expiring {
  count = 0;
  lastAt: number | null = null;

  constructor(
    readonly key: string,
    expiresAt: number,
  ) {
    super(expiresAt);
  }
}

const NONE: Attempts = Object.freeze({ count: 0, sincePrevious: null, expiresIn: 0 });

/**
 * Attempts seen by this process. When it is full, the attempts of keys it does not know are denied,
 * and those of known ones still counted: who floods it with keys does not make it forget.
 */
export class MemoryAttemptStore extends AttemptStore {
  readonly #tallies = new Map<string, Tally>();
  readonly #room: MemoryRoom<Tally>;

  constructor(maxEntries: number, clock: Clock) {
    super();
    this.#room = new MemoryRoom(maxEntries, clock, ({ key }) => this.#tallies.delete(key));
  }

  async record({
    key,
    window,
    runsFrom,
  }: {
    readonly key: string;
    readonly window: number;
    readonly runsFrom: 'first' | 'last';
  }): Promise<Attempts> {
    const now = this.#room.enter();
    expectKey(key);
    expectDuration(window, 'A window');
    const standing = this.#standing(key, now);
    const tally = standing ?? this.#begin(key, now + window);
    if (standing !== undefined && runsFrom === 'last') {
      this.#room.reschedule(tally, now + window);
    }
    const sincePrevious = since(tally, now);
    tally.count++;
    tally.lastAt = now;
    return { count: tally.count, sincePrevious, expiresIn: tally.expiresAt - now };
  }

  async read(key: string): Promise<Attempts> {
    const now = this.#room.enter();
    expectKey(key);
    const tally = this.#standing(key, now);
    if (tally === undefined) return NONE;
    const { count, expiresAt } = tally;
    return { count, sincePrevious: since(tally, now), expiresIn: expiresAt - now };
  }

  async clear(key: string): Promise<void> {
    this.#room.enter();
    expectKey(key);
    const tally = this.#tallies.get(key);
    if (tally !== undefined) this.#drop(tally);
  }

  /** How many keys are held, expired ones that were not swept included. */
  get size(): number {
    return this.#room.size;
  }

  close(): void {
    this.#room.close();
  }

  #standing(key: string, now: number): Tally | undefined {
    const tally = this.#tallies.get(key);
    if (tally === undefined || tally.expiresAt > now) return tally;
    this.#drop(tally);
    return undefined;
  }

  #begin(key: string, expiresAt: number): Tally {
    this.#room.expectRoom();
    const tally = new Tally(key, expiresAt);
    this.#tallies.set(key, tally);
    this.#room.add(tally);
    return tally;
  }

  #drop(tally: Tally): void {
    this.#tallies.delete(tally.key);
    this.#room.remove(tally);
  }
}

/** Never negative, should the clock have been set back. */
function since({ lastAt }: Tally, now: number): number | null {
  return lastAt === null ? null : Math.max(0, now - lastAt);
}
