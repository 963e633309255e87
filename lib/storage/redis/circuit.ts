/** This many failures in a row, and nothing more is tried. */
const FAILURES_TO_OPEN = 5;

/**
 * Counts the failures of one server. After several in a row whoever calls is refused at once,
 * instead of waiting for a deadline and adding to the load, until a probe was answered.
 */
export class Circuit {
  #failures = 0;
  #outage: string | undefined;
  #probeKey = '';
  #wroteAt = -Infinity;

  /** Why nothing is tried; `undefined` while calls may pass. */
  get outage(): string | undefined {
    return this.#outage;
  }

  /** A probe of this key goes where the failed calls went, also after a Cluster moved its slots. */
  get probeKey(): string {
    return this.#probeKey;
  }

  fail(detail: string, probeKey: string): void {
    this.#failures++;
    if (this.#failures >= FAILURES_TO_OPEN) this.open(detail, probeKey);
  }

  /** When a probe last wrote; its own beginning counts, since what came later it cannot know of. */
  get wroteAt(): number {
    return this.#wroteAt;
  }

  /** An answer: the failures before it were no row. What is open only a probe closes. */
  succeed(): void {
    this.#failures = 0;
  }

  open(detail: string, probeKey: string): void {
    if (this.#outage !== undefined) return;
    this.#outage = detail;
    this.#probeKey = probeKey;
  }

  /** A probe begun at that instant was answered. */
  close(wroteAt: number): void {
    this.#wroteAt = wroteAt;
    this.#failures = 0;
    this.#outage = undefined;
  }
}
