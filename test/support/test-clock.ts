import { Clock } from '../../lib/kernel/clock.js';

/** A clock that stands until it is moved. */
export class TestClock extends Clock {
  constructor(private time = Date.UTC(2026, 10, 22)) {
    super();
  }

  now(): number {
    return this.time;
  }

  /** Seconds since the epoch, as claims count them. */
  seconds(): number {
    return this.time / 1000;
  }

  advance(ms: number): void {
    this.time += ms;
  }

  set(time: number): void {
    this.time = time;
  }
}
