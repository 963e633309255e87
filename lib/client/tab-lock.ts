import type { Browser } from './browser.js';

/** Milliseconds after which a tab that waits goes ahead: a holder may be frozen by the system. */
const PATIENCE = 20_000;

/** Milliseconds for a holder's last message to reach the tabs that wait. */
const HOLD_ON = 100;

/**
 * One of all tabs at a time. Without Web Locks one task of this tab at a time: two tabs may then
 * refresh at once, which the server's grace window (`sessions.reuseGrace`) makes good.
 */
export class TabLock {
  readonly #browser: Browser;
  readonly #name: string;
  #queue: Promise<void> = Promise.resolve();

  constructor(browser: Browser, name: string) {
    this.#browser = browser;
    this.#name = name;
  }

  /**
   * Answers, never late, with what gives it back: once it is this tab's, once waiting is called off,
   * once patience is over.
   */
  acquire(calledOff?: AbortSignal): Promise<() => void> {
    return new Promise((resolve) => {
      const stop = new AbortController();
      const proceed = (): void => resolve(() => {});
      const cancel = this.#browser.later(PATIENCE, () => stop.abort());
      calledOff?.addEventListener('abort', () => stop.abort(), { once: true });
      stop.signal.addEventListener('abort', proceed, { once: true });
      this.#request(stop.signal, () => {
        cancel();
        if (stop.signal.aborted) return Promise.resolve();
        return new Promise((free) => {
          resolve(() => void this.#browser.later(HOLD_ON, () => free()));
        });
        // Rejected when called off, and where a page may have no locks.
      }).catch(proceed);
    });
  }

  #request(signal: AbortSignal, hold: () => Promise<void>): Promise<void> {
    const { requestLock } = this.#browser;
    if (requestLock !== undefined) return requestLock(this.#name, signal, hold);
    this.#queue = this.#queue.then(() => (signal.aborted ? undefined : hold()));
    return this.#queue;
  }
}
