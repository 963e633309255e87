import type { Clock } from '../../kernel/clock.js';

/**
 * How long the JWKS of another issuer may be used and when it is asked for again, as plain values:
 * instants are milliseconds that never run backwards (`ElapsedTime`).
 */

/**
 * Milliseconds that passed. When the host's clock is set back, a wall clock would keep a withdrawn
 * key alive for as long again; this one stands for a moment and goes on.
 */
export class ElapsedTime {
  readonly #clock: Clock;
  #last: number;
  #elapsed = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#last = clock.now();
  }

  now(): number {
    const now = this.#clock.now();
    if (now > this.#last) this.#elapsed += now - this.#last;
    this.#last = now;
    return this.#elapsed;
  }

  /** What the host's clock shows at an instant of this one. */
  wallTime(instant: number): Date {
    return new Date(this.#clock.now() + instant - this.now());
  }
}

/** Lengths in milliseconds. */
export interface FreshnessPolicy {
  /** For an answer that does not say how long it may be kept. */
  readonly cacheFor: number;
  /** How long keys are used beyond that while their issuer cannot be reached. */
  readonly staleFor: number;
  /** The longest pause between attempts that fail. */
  readonly cooldown: number;
}

/** One successful refresh. */
export interface Freshness {
  /** From here on a refresh runs beside the requests. */
  readonly refreshAt: number;
  /** From here on requests wait for it, unless the issuer is known to be down. */
  readonly expiresAt: number;
  /** From here on the keys are not used, whatever happens. */
  readonly usableUntil: number;
}

/** A shorter `max-age` is treated as this: it would make every request wait for the issuer. */
export const MIN_KEEP = 60_000;

/** A longer one as this: a withdrawn key stops verifying within the hour, whatever was once said. */
export const MAX_KEEP = 3_600_000;

/** The pause after the first failure; doubles with every further one. */
export const FIRST_RETRY = 1_000;

/**
 * @param startedAt when the request was sent: the answer may be as old as that
 * @param jitter 0 to 1; spreads the instances that started together
 */
export function freshnessOf(
  startedAt: number,
  maxAge: number | null,
  { cacheFor, staleFor }: FreshnessPolicy,
  jitter: number,
): Freshness {
  const keep = maxAge === null ? cacheFor : Math.min(Math.max(maxAge, MIN_KEEP), MAX_KEEP);
  const expiresAt = startedAt + keep;
  return {
    refreshAt: startedAt + keep * (0.8 - 0.1 * jitter),
    expiresAt,
    usableUntil: expiresAt + staleFor,
  };
}

/** How long the issuer is left alone after so many failures in a row. */
export function retryDelay(failures: number, cooldown: number, jitter: number): number {
  const longest = Math.min(FIRST_RETRY * 2 ** Math.min(failures - 1, 30), cooldown);
  return longest * (1 - 0.5 * jitter);
}
