/**
 * What the client needs of a browser, and, beside `browserSignals`, the one file of it that reaches for
 * globals. Web Locks and BroadcastChannel may be missing: each has a way to do without.
 */
export interface Browser {
  /** Scheme, host and port of the page. */
  readonly origin: string;
  /** Milliseconds of the wall clock, which goes on while the computer sleeps. */
  now(): number;
  /** From 0 up to, not including, 1. */
  random(): number;
  /** Runs it after so many milliseconds, in a hidden page later; answers how to call it off. */
  later(ms: number, run: () => void): () => void;
  fetch(request: Request): Promise<Response>;
  /** The cookies a script may read, as `document.cookie` has them. */
  cookies(): string;
  isVisible(): boolean;
  /** Told when the page is seen again, came back from the history, or the network did. */
  onWake(run: () => void, signal: AbortSignal): void;
  /** Told when the page is left, for good or into the history: before its requests are cut off. */
  onLeave(run: () => void, signal: AbortSignal): void;
  openChannel(name: string, hear: (message: unknown) => void): TabChannel | undefined;
  /** Web Locks: one holder in all tabs of the origin; released when its tab is gone. */
  readonly requestLock:
    | ((name: string, calledOff: AbortSignal, hold: () => Promise<void>) => Promise<void>)
    | undefined;
}

export interface TabChannel {
  post(message: unknown): void;
  close(): void;
}

interface EventSource {
  addEventListener(type: string, run: () => void, options: { signal: AbortSignal }): void;
}

/** What a page has beside what every runtime has. Declared here: the rest of the package has no DOM. */
interface Page extends Partial<EventSource> {
  readonly location?: { readonly origin: string };
  readonly document?: EventSource & { readonly cookie: string; readonly visibilityState: string };
  readonly navigator?: { readonly locks?: Locks };
}

interface Locks {
  request(
    name: string,
    options: { readonly signal: AbortSignal },
    hold: () => Promise<void>,
  ): Promise<void>;
}

const WAKING = ['pageshow', 'online', 'focus'];

/** The browser this script runs in. */
export function thisBrowser(): Browser {
  const page = globalThis as Page;
  const { location, document } = page;
  if (location === undefined) throw new TypeError('createAuthClient needs a browser');
  const locks = page.navigator?.locks;
  return {
    origin: location.origin,
    now: () => Date.now(),
    random: () => (crypto.getRandomValues(new Uint32Array(1))[0] ?? 0) / 2 ** 32,
    later: (ms, run) => {
      const timer = setTimeout(run, ms);
      return () => clearTimeout(timer);
    },
    fetch: (request) => fetch(request),
    cookies: () => document?.cookie ?? '',
    isVisible: () => document?.visibilityState !== 'hidden',
    onWake: (run, signal) => {
      document?.addEventListener('visibilitychange', run, { signal });
      for (const type of WAKING) page.addEventListener?.(type, run, { signal });
    },
    onLeave: (run, signal) => page.addEventListener?.('pagehide', run, { signal }),
    openChannel: (name, hear) => {
      if (typeof BroadcastChannel === 'undefined') return undefined;
      const channel = new BroadcastChannel(name);
      channel.addEventListener('message', (event) => hear((event as { data?: unknown }).data));
      return {
        // oxlint-disable-next-line unicorn/require-post-message-target-origin -- not a window
        post: (message) => channel.postMessage(message),
        close: () => channel.close(),
      };
    },
    requestLock: locks && ((name, signal, hold) => locks.request(name, { signal }, hold)),
  };
}
