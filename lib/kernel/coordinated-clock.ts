import { Clock } from './clock.js';

/** What another clock said, and when, on this host's clock, it was asked and had answered. */
export interface ClockReading {
  readonly remote: number;
  readonly sentAt: number;
  readonly receivedAt: number;
}

/** How far a reading may be off for clocks to be called equal: they are not moved for less. */
const TOLERANCE = 250;

/** A reading that was on its way for longer says too little. */
const MAX_TRIP = 1_000;

/** A clock further away than this is not followed: one of the two is wrong by more than skew. */
export const MAX_SKEW = 300_000;

/**
 * The host's clock, set by one that all instances ask: tokens that one of them issues are then
 * neither from the future nor already old on another, although their hosts disagree by minutes.
 */
export class CoordinatedClock extends Clock {
  #offset = 0;
  #isFar = false;

  constructor(private readonly host: Clock) {
    super();
  }

  now(): number {
    return this.host.now() + this.#offset;
  }

  /** The host's own time, to take readings with. */
  hostNow(): number {
    return this.host.now();
  }

  /** As far as the host can tell: what this clock is set by says nothing about how time passes. */
  override elapsed(): number {
    return this.host.elapsed?.() ?? this.host.now();
  }

  /**
   * Follows a reading. Answers the skew it found, in milliseconds, when that is worth a word: when the
   * clock was moved for it, or the other clock has gone too far away to be followed.
   */
  align({ remote, sentAt, receivedAt }: ClockReading): number | undefined {
    const trip = receivedAt - sentAt;
    if (!Number.isFinite(remote) || trip < 0 || trip > MAX_TRIP) return undefined;
    const skew = Math.round(remote - (sentAt + trip / 2));
    const wasFar = this.#isFar;
    this.#isFar = Math.abs(skew) > MAX_SKEW;
    if (this.#isFar) return wasFar ? undefined : skew;
    if (Math.abs(skew - this.#offset) <= Math.max(TOLERANCE, trip)) return undefined;
    this.#offset = skew;
    return skew;
  }
}
