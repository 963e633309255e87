/**
 * Time is a dependency: everything that compares instants asks the injected clock, so that tests
 * move time instead of waiting for it.
 */
export abstract class Clock {
  /** Milliseconds since the Unix epoch. */
  abstract now(): number;

  /**
   * Milliseconds since any beginning, which grow also while the host's clock is set back.
   * @defaultValue none: `now` has to do
   */
  elapsed?(): number;
}

/** The host's wall clock. */
export class SystemClock extends Clock {
  now(): number {
    return Date.now();
  }

  override elapsed(): number {
    return performance.now();
  }
}
