import type { AuthClient } from '../../lib/client/auth-client.js';
import { authClientIn } from '../../lib/client/auth-client.js';
import type { Browser } from '../../lib/client/browser.js';
import type { AuthClientOptions } from '../../lib/client/options.js';

/** One origin in a browser whose time stands until it is moved: its tabs, their channel and locks. */

export const ORIGIN = 'https://bank.example';

export type Answerer = (request: Request) => Response | Promise<Response>;

/** What this browser cannot do. */
export type Lack = 'locks' | 'channel';

export interface TestTab {
  readonly client: AuthClient;
  /** Ends and states the page was told of, in order. */
  readonly told: string[];
  hide(): void;
  show(): void;
  /** As a reload or a link does it: the page is told, what it has under way is cut, it is hidden. */
  leave(): Promise<void>;
  /** From now on no request of this tab gets through. */
  block(): void;
  unblock(): void;
  /** Gone without a word, as a tab that crashes. */
  kill(): void;
}

interface Timer {
  readonly at: number;
  readonly run: () => void;
}

interface LockRequest {
  readonly signal: AbortSignal;
  readonly hold: () => Promise<void>;
  readonly finish: (failure?: Error) => void;
}

export class World {
  now = Date.UTC(2026, 10, 22);
  cookies = '';
  readonly sent: Request[] = [];
  /** What the tabs told each other, in order. */
  readonly posted: unknown[] = [];
  #timers = new Set<Timer>();
  readonly #ears = new Set<{ readonly name: string; hear(message: unknown): void }>();
  #queue: LockRequest[] = [];
  #held: LockRequest | undefined;

  constructor(
    public answer: Answerer,
    private readonly lacks: readonly Lack[] = [],
  ) {}

  open(options: AuthClientOptions): TestTab {
    const told: string[] = [];
    const wakers = new Set<() => void>();
    const leavers = new Set<() => void>();
    const life = {
      isVisible: true,
      isAlive: true,
      isBlocked: false,
      letGo: new Set<() => void>(),
      cut: new AbortController(),
    };
    const setVisible = (isVisible: boolean): void => {
      life.isVisible = isVisible;
      for (const wake of wakers) wake();
    };
    const alive =
      (run: () => void): (() => void) =>
      () =>
        life.isAlive ? run() : undefined;
    const browser: Browser = {
      origin: ORIGIN,
      now: () => this.now,
      random: () => 0.5,
      later: (ms, run) => {
        const timer = { at: this.now + ms, run: alive(run) };
        this.#timers.add(timer);
        return () => void this.#timers.delete(timer);
      },
      fetch: async (request) => {
        if (life.isBlocked) throw new TypeError('Failed to fetch');
        this.sent.push(request.clone());
        const ends = [abortOf(request.signal), abortOf(life.cut.signal)];
        const response = await Promise.race([this.answer(request), ...ends]);
        if (!life.isAlive) return new Promise(() => {});
        return response;
      },
      cookies: () => this.cookies,
      isVisible: () => life.isVisible,
      onWake: (run) => void wakers.add(alive(run)),
      onLeave: (run) => void leavers.add(alive(run)),
      openChannel: (name, hear) => {
        if (this.lacks.includes('channel')) return undefined;
        const ear = { name, hear: (message: unknown) => alive(() => hear(message))() };
        this.#ears.add(ear);
        return {
          post: (message) => {
            if (life.isAlive) this.post(name, message, ear);
          },
          close: () => void this.#ears.delete(ear),
        };
      },
      requestLock: this.lacks.includes('locks')
        ? undefined
        : (_name, signal, hold) => {
            const ended = new Promise<void>((resolve) => life.letGo.add(resolve));
            return this.#requestLock(signal, () => Promise.race([hold(), ended]));
          },
    };
    const client = authClientIn(browser, {
      onSessionEnd: (reason) => told.push(reason),
      onStateChange: (state) => told.push(state),
      ...options,
    });
    return {
      client,
      told,
      hide: () => setVisible(false),
      show: () => setVisible(true),
      leave: async () => {
        // In the order of Chromium: what was cut is rejected while the page still counts as seen.
        for (const leave of leavers) leave();
        life.cut.abort();
        life.cut = new AbortController();
        await settle();
        setVisible(false);
      },
      block: () => {
        life.isBlocked = true;
      },
      unblock: () => {
        life.isBlocked = false;
      },
      kill: () => {
        life.isAlive = false;
        for (const letGo of life.letGo) letGo();
      },
    };
  }

  /** As a page of this origin would post it. */
  post(name: string, message: unknown, from?: object): void {
    const copy: unknown = structuredClone(message);
    this.posted.push(copy);
    for (const ear of this.#ears) {
      if (ear !== from && ear.name === name) setImmediate(() => ear.hear(copy));
    }
  }

  /** Lets time pass, with all that is due in it. */
  async advance(ms: number): Promise<void> {
    const until = this.now + ms;
    await settle();
    for (let next = this.#next(until); next !== undefined; next = this.#next(until)) {
      this.#timers.delete(next);
      this.now = Math.max(this.now, next.at);
      next.run();
      await settle();
    }
    this.now = until;
  }

  /** Lets time pass until it has an outcome. */
  async outcome<T>(promise: Promise<T>): Promise<T> {
    const state = { isOver: false };
    const over = (): void => {
      state.isOver = true;
    };
    promise.then(over, over);
    await settle();
    while (!state.isOver) {
      const next = this.#next(Infinity);
      if (next === undefined) throw new Error('nothing is left that could settle it');
      await this.advance(Math.max(next.at - this.now, 0));
    }
    return promise;
  }

  #next(until: number): Timer | undefined {
    return [...this.#timers].filter(({ at }) => at <= until).toSorted((a, b) => a.at - b.at)[0];
  }

  #requestLock(signal: AbortSignal, hold: () => Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      const finish = (failure?: Error): void => (failure ? reject(failure) : resolve());
      const request = { signal, hold, finish };
      if (signal.aborted) throw new Error('called off');
      this.#queue.push(request);
      signal.addEventListener('abort', () => {
        if (!this.#queue.includes(request)) return;
        this.#queue = this.#queue.filter((waiting) => waiting !== request);
        finish(new Error('called off'));
      });
      void this.#grantNext();
    });
  }

  async #grantNext(): Promise<void> {
    if (this.#held !== undefined) return;
    const next = this.#queue.shift();
    if (next === undefined) return;
    this.#held = next;
    await next.hold();
    this.#held = undefined;
    next.finish();
    await this.#grantNext();
  }
}

function abortOf(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(new TypeError('Failed to fetch')));
  });
}

/** Runs all that waits for nothing but its turn. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 30; turn++) await new Promise((resolve) => setImmediate(resolve));
}
