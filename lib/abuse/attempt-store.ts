/** What is known of a key's attempts. */
export interface Attempts {
  /** How many, this one included; 0 when the window is over. */
  readonly count: number;
  /** Milliseconds since the attempt before this one (for `read`: since the last); `null` for none. */
  readonly sincePrevious: number | null;
  /** Milliseconds until they are forgotten. */
  readonly expiresIn: number;
}

/** Port: counts attempts, shared by every instance. Windows by the store's clock. */
export abstract class AttemptStore {
  /**
   * Counts one attempt and answers the count it made: one atomic step, so that of n parallel
   * attempts each gets another number.
   */
  abstract record(attempt: {
    /** 1 to 512 characters. */
    readonly key: string;
    /** Milliseconds until the attempts are forgotten. */
    readonly window: number;
    /** Whether the window runs from the first attempt, or anew from each. */
    readonly runsFrom: 'first' | 'last';
  }): Promise<Attempts>;

  /** What `record` would have added one to; changes nothing. */
  abstract read(key: string): Promise<Attempts>;

  /** Forgets the attempts of a key. */
  abstract clear(key: string): Promise<void>;
}
