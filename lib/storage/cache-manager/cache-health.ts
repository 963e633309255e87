import type { Clock } from '../../kernel/clock.js';
import type { StorageStatus } from '../storage.js';

/** Whether the cache answers, as the last call found it. Tells each change once. */
export class CacheHealth {
  readonly #clock: Clock;
  readonly #listeners = new Set<(status: StorageStatus) => void>();
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

  /** @param detail for operators; never what the backend said, which can hold its password */
  report(state: StorageStatus['state'], detail: string): void {
    if (state === this.#status.state) return;
    this.#status = this.#statusNow(state, detail);
    for (const listener of this.#listeners) {
      try {
        listener(this.#status);
      } catch {
        // What a listener makes of it is its own affair; the others still hear of it.
      }
    }
  }

  #statusNow(state: StorageStatus['state'], detail: string): StorageStatus {
    return Object.freeze({ state, since: new Date(this.#clock.now()), detail });
  }
}
