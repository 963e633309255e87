/**
 * Time is a dependency: everything that compares instants asks the injected clock, so that tests
 * move time instead of waiting for it.
 */
export abstract class Clock {
  /** Milliseconds since the Unix epoch. */
  abstract now(): number;
}

/** The host's wall clock. */
export class SystemClock extends Clock {
  now(): number {
    return Date.now();
  }
}
