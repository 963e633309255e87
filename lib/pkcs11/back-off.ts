const FIRST_MS = 1_000;
const LONGEST_MS = 60_000;

/** Pauses between attempts that fail: 1 second, then twice as long each time, up to a minute. */
export class BackOff {
  #nextMs = FIRST_MS;
  #timer: NodeJS.Timeout | undefined;

  constructor(private readonly longestMs = LONGEST_MS) {}

  get isPausing(): boolean {
    return this.#timer !== undefined;
  }

  /** Starts a pause, in place of one that runs. */
  pause(): void {
    this.#wait(this.#nextMs);
    this.#nextMs = Math.min(this.#nextMs * 2, this.longestMs);
  }

  /** Short pauses again. One that runs is cut to the shortest, not to nothing. */
  reset(): void {
    this.#nextMs = FIRST_MS;
    if (this.isPausing) this.#wait(FIRST_MS);
  }

  #wait(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
    }, ms);
    this.#timer.unref();
  }
}
