import { Clock } from '../../lib/kernel/clock.js';

/** The host's clock, set ahead: what is stored by the real one is never over too early. */
export class AheadClock extends Clock {
  /** Milliseconds. */
  ahead = 0;

  override now(): number {
    return Date.now() + this.ahead;
  }
}
