import type { Clock } from '../kernel/clock.js';
import type { StorageStatus } from './storage.js';

/**
 * Whether the storage answers, as the sum of its connections: down while any of them is. Tells each
 * change once.
 */
export class StoreHealth {
  readonly #clock: Clock;
  readonly #listeners = new Set<(status: StorageStatus) => void>();
  /** What is down, and why. */
  readonly #outages = new Map<object, string>();
  #status: StorageStatus;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#status = this.#statusNow('up', 'not used yet');
  }

  get status(): StorageStatus {
    return this.#status;
  }

  onChange(listener: (status: StorageStatus) => void): () => void {
    // Registered under a function of its own, so that one listener can be given twice.
    const registered = (status: StorageStatus): void => listener(status);
    this.#listeners.add(registered);
    return () => this.#listeners.delete(registered);
  }

  /** @param part what is down; it stays so until it is reported up */
  reportDown(part: object, detail: string): void {
    this.#outages.set(part, detail);
    if (this.#status.state === 'up') this.#change(this.#statusNow('down', detail));
  }

  reportUp(part: object): void {
    this.#outages.delete(part);
    if (this.#status.state === 'down' && this.#outages.size === 0) {
      this.#change(this.#statusNow('up', 'answers again'));
    }
  }

  /** The first answer ever: no change, but no longer a guess. */
  reportAnswer(): void {
    if (this.#status.detail === 'not used yet') this.#status = this.#statusNow('up', 'answers');
  }

  /** Tells nobody anything any more. */
  close(): void {
    this.#listeners.clear();
  }

  #statusNow(state: StorageStatus['state'], detail: string): StorageStatus {
    return Object.freeze({ state, since: new Date(this.#clock.now()), detail });
  }

  #change(status: StorageStatus): void {
    this.#status = status;
    for (const listener of this.#listeners) {
      try {
        listener(status);
      } catch {
        // What a listener makes of it is its own affair; the others still hear of it.
      }
    }
  }
}
