/** How the tokens travel; the server must be set up for the same. */
export type AuthTransport = 'cookie' | 'body';

export interface AuthPaths {
  /** @defaultValue `/auth/login` */
  readonly login?: string;
  /** @defaultValue `/auth/refresh` */
  readonly refresh?: string;
  /** @defaultValue `/auth/logout` */
  readonly logout?: string;
}

export interface AuthClientOptions {
  /**
   * `cookie`: the tokens are in `HttpOnly` cookies, where no script can read them; the first choice
   * for a page that the server's own origin serves. `body`: they are in this page's memory and go
   * into the `Authorization` header; also for a server of another origin. A reload keeps the session
   * if another tab has it.
   */
  readonly transport: AuthTransport;
  /**
   * The only origin that requests go to; paths are resolved against it. `https`, or `http` on the
   * machine itself.
   * @defaultValue the origin of the page
   */
  readonly baseUrl?: string | URL;
  /** Resolved against `baseUrl`, of the same origin. */
  readonly paths?: AuthPaths;
  /**
   * Seconds before the end of the access token at which a visible page renews it, at the earliest:
   * each tab takes a moment of its own in the later half. At most half of the token's life counts.
   * @defaultValue a fifth of the token's life, at most 60
   */
  readonly refreshAhead?: number;
  /**
   * Sent as `X-Client-Signals` with every request: a SHA-256 digest, in base64url, of what stays the same
   * on this device, such as `await browserSignals()`, for the server's `binding.fingerprint`.
   * @defaultValue none: the header is not sent; nor is it for an empty text
   */
  readonly signals?: string;
  /** Told when the page is signed in or out, by whichever tab. */
  readonly onStateChange?: (state: 'signed-in' | 'signed-out') => void;
  /** Told once for each session that ends, in every tab, whichever tab ended it. */
  readonly onSessionEnd?: (reason: 'logout' | 'refused' | 'replaced') => void;
}

/** The options, checked and complete. Lengths in milliseconds. */
export interface ClientSettings {
  readonly transport: AuthTransport;
  readonly base: URL;
  readonly login: URL;
  readonly refresh: URL;
  readonly logout: URL;
  /** `undefined`: by the life of the token. */
  readonly refreshAhead: number | undefined;
  /** Empty: not sent. */
  readonly signals: string;
  readonly onStateChange: NonNullable<AuthClientOptions['onStateChange']>;
  readonly onSessionEnd: NonNullable<AuthClientOptions['onSessionEnd']>;
}

const OPTIONS = 'transport baseUrl paths refreshAhead signals onStateChange onSessionEnd'.split(
  ' ',
);
const PATHS = ['login', 'refresh', 'logout'];
const HERE = /^(?:localhost|.+\.localhost|127(?:\.\d+){3}|\[::1\])$/;

/** Throws a `TypeError` that says what to write instead. */
export function resolveOptions(options: AuthClientOptions, pageOrigin: string): ClientSettings {
  const { transport, baseUrl = pageOrigin, paths = {}, refreshAhead } = options;
  const { signals = '', onStateChange = ignore, onSessionEnd = ignore } = options;
  refuseUnknown(options, OPTIONS);
  refuseUnknown(paths, PATHS);
  if (transport !== 'cookie' && transport !== 'body') {
    throw invalid("transport must be 'cookie' or 'body'");
  }
  const base = urlOf('baseUrl', baseUrl);
  if (base.protocol !== 'https:' && !(base.protocol === 'http:' && HERE.test(base.hostname))) {
    throw invalid('baseUrl must be an https URL, or http of localhost');
  }
  if (transport === 'cookie' && base.origin !== pageOrigin) {
    throw invalid("baseUrl must be of the page's own origin with 'cookie'");
  }
  if (refreshAhead !== undefined && !(refreshAhead > 0 && refreshAhead <= 3600)) {
    throw invalid('refreshAhead must be seconds above 0, at most 3600');
  }
  if (typeof signals !== 'string') throw invalid('signals must be a text');
  for (const listener of [onStateChange, onSessionEnd]) {
    if (typeof listener !== 'function') throw invalid('listeners must be functions');
  }
  const pathOf = (name: keyof AuthPaths): URL => {
    const url = urlOf(`paths.${name}`, paths[name] ?? `/auth/${name}`, base);
    if (url.origin !== base.origin) throw invalid(`paths.${name} must be of baseUrl's origin`);
    return url;
  };
  return {
    transport,
    base,
    login: pathOf('login'),
    refresh: pathOf('refresh'),
    logout: pathOf('logout'),
    refreshAhead: refreshAhead && refreshAhead * 1000,
    signals,
    onStateChange,
    onSessionEnd,
  };
}

function ignore(): void {}

function invalid(problem: string): TypeError {
  return new TypeError(`createAuthClient: ${problem}`);
}

function refuseUnknown(given: object, known: readonly string[]): void {
  const unknown = Object.keys(given).find((name) => !known.includes(name));
  if (unknown !== undefined) throw invalid(`there is no ${unknown}, only ${known.join(', ')}`);
}

function urlOf(name: string, text: string | URL, base?: URL): URL {
  try {
    return new URL(text, base);
  } catch {
    throw invalid(`${name} must be a URL`);
  }
}
