import { LRUCache } from 'lru-cache';

import type { Clock } from '../../kernel/clock.js';

/** Counts over all instances. `AttemptStore` is one. */
export interface ProofCounter {
  record(attempt: {
    readonly key: string;
    readonly window: number;
    readonly runsFrom: 'first' | 'last';
  }): Promise<{
    readonly count: number;
    /** Milliseconds until the count begins anew. */
    readonly expiresIn: number;
  }>;
}

/** What this instance has seen of a key in the current minute. */
interface Tally {
  count: number;
  readonly endsAt: number;
  /** Until when the key is over its quota. */
  overUntil: number;
}

/** `over`: the first one too many that is noticed; `stillOver`: one more. */
export type QuotaVerdict = 'within' | 'over' | 'stillOver';

const MINUTE = 60_000;

/** Keys whose proofs are counted here; about 200 bytes each. */
const REMEMBERED = 10_000;

/** In how many parts the quota is reported to the others. */
const SHARES = 20;

/**
 * How many proofs a key makes a minute. Each instance counts by itself, exactly, and tells the others of
 * every twentieth part of the quota: so most proofs cost no call, and several instances together let
 * through at most one part each more than one would.
 */
export class ProofQuota {
  readonly #tallies = new LRUCache<string, Tally>({ max: REMEMBERED });
  readonly #perMinute: number;
  readonly #share: number;
  readonly #counter: ProofCounter;
  readonly #clock: Clock;

  constructor(perMinute: number, counter: ProofCounter, clock: Clock) {
    this.#perMinute = perMinute;
    this.#share = Math.ceil(perMinute / SHARES);
    this.#counter = counter;
    this.#clock = clock;
  }

  /** Whether a key is known to be over its quota. */
  isOver(jkt: string): boolean {
    return (this.#tallies.get(jkt)?.overUntil ?? 0) > this.#clock.now();
  }

  /**
   * Counts a proof; at once, unless the others are to be told.
   * @throws whatever the counter does
   */
  count(jkt: string): QuotaVerdict | Promise<QuotaVerdict> {
    const tally = this.#tallyOf(jkt);
    tally.count++;
    if (tally.count > this.#perMinute) return this.#close(tally, tally.endsAt);
    return tally.count % this.#share === 0 ? this.#tell(jkt, tally) : 'within';
  }

  async #tell(jkt: string, tally: Tally): Promise<QuotaVerdict> {
    const attempt = { key: `dpop:${jkt}`, window: MINUTE, runsFrom: 'first' } as const;
    const { count, expiresIn } = await this.#counter.record(attempt);
    if (!(count >= 1) || !(expiresIn >= 0)) throw new TypeError('the counter counts no numbers');
    if (count * this.#share <= this.#perMinute) return 'within';
    return this.#close(tally, this.#clock.now() + Math.min(expiresIn, MINUTE));
  }

  #close(tally: Tally, until: number): QuotaVerdict {
    const isNews = tally.overUntil <= this.#clock.now();
    tally.overUntil = Math.max(tally.overUntil, until);
    return isNews ? 'over' : 'stillOver';
  }

  #tallyOf(jkt: string): Tally {
    const now = this.#clock.now();
    const known = this.#tallies.get(jkt);
    if (known !== undefined && known.endsAt > now) return known;
    const tally = { count: 0, endsAt: now + MINUTE, overUntil: known?.overUntil ?? 0 };
    this.#tallies.set(jkt, tally);
    return tally;
  }
}
