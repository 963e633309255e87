import { AuthRequests } from './auth-requests.js';
import { type Browser, thisBrowser } from './browser.js';
import { type AuthClientOptions, resolveOptions } from './options.js';
import { type AuthState, SessionKeeper } from './session-keeper.js';

/** What the login route wants to know, such as `{ username, password }`; sent as JSON. */
export type Credentials = Readonly<Record<string, unknown>>;

/**
 * A page's access to the server: everything is sent with the session that all tabs share. Nothing
 * of a token can be read from it. All methods may be taken off the object and passed around.
 */
export interface AuthClient {
  /** `pending` only with the transport `body`, for a second at most. */
  readonly state: AuthState;
  /** Settles once `state` is no longer `pending`. */
  readonly ready: Promise<void>;
  /**
   * Starts a session for all tabs. Throws `AuthClientError`: `ERR_CLIENT_REFUSED` with the server's
   * `response`, `ERR_CLIENT_UNAVAILABLE`, `ERR_CLIENT_ANSWER`.
   */
  readonly login: (credentials: Credentials) => Promise<void>;
  /**
   * Ends the session on the server and in all tabs. When it throws, the server has not ended it:
   * with the transport `body` the tokens are forgotten nevertheless, with `cookie` the page is still
   * signed in, as only the server can delete the cookies.
   */
  readonly logout: () => Promise<void>;
  /**
   * As the browser's own `fetch`, with the session's credentials. After a 401 the session is renewed
   * and the request sent once more, unless its body is a stream: a 401 that still reaches the page
   * says that there is no session, or that more than a session is needed (RFC 9470). A relative URL
   * is resolved against `baseUrl`. Throws `AuthClientError`: `ERR_CLIENT_ORIGIN` for a URL of
   * another origin, which is never asked; `ERR_CLIENT_UNAVAILABLE` when the session must be renewed
   * and cannot be at the moment; `ERR_CLIENT_CLOSED`.
   */
  readonly fetch: (input: string | URL | Request, init?: RequestInit) => Promise<Response>;
  /** Forgets the session in this tab and stops its timers. The session goes on elsewhere. */
  readonly close: () => void;
}

/** A client for the page this runs in. Throws a `TypeError` when the options are wrong. */
export function createAuthClient(options: AuthClientOptions): AuthClient {
  return authClientIn(thisBrowser(), options);
}

/** @internal */
export function authClientIn(browser: Browser, options: AuthClientOptions): AuthClient {
  const settings = resolveOptions(options, browser.origin);
  const requests = new AuthRequests(settings, browser);
  const keeper = new SessionKeeper(settings, browser, requests);

  const send: AuthClient['fetch'] = async (input, init) => {
    const { first, again } = requestsFor(input, init, settings.base);
    await keeper.prepare();
    const used = keeper.grant;
    const response = await requests.send(first, used);
    if (used === undefined || !isAboutToken(response)) return response;
    if (!(await keeper.replace(used)) || again === undefined) return response;
    void response.body?.cancel();
    return requests.send(again(), keeper.grant);
  };

  return Object.freeze({
    get state() {
      return keeper.state;
    },
    ready: keeper.ready,
    login: (credentials: Credentials) => keeper.login(credentials),
    logout: () => keeper.logout(),
    fetch: send,
    close: () => keeper.close(),
  });
}

interface Sendable {
  readonly first: Request;
  /** The same once more; `undefined` if its body can be read only once. */
  readonly again: (() => Request) | undefined;
}

function requestsFor(input: string | URL | Request, init: RequestInit = {}, base: URL): Sendable {
  const { body } = init;
  if (typeof body === 'object' && body !== null && 'getReader' in body) {
    return { first: requestOf(input, init, base), again: undefined };
  }
  // Copied before its body is read.
  const copy = input instanceof Request ? input.clone() : input;
  return { first: requestOf(input, init, base), again: () => requestOf(copy, init, base) };
}

function requestOf(input: string | URL | Request, init: RequestInit, base: URL): Request {
  return new Request(input instanceof Request ? input : new URL(input, base), init);
}

/** A 401 for which a new token may help; not one that asks the user to do more (RFC 9470 §3). */
function isAboutToken({ status, headers }: Response): boolean {
  const challenge = headers.get('WWW-Authenticate') ?? '';
  return status === 401 && !/error="(?!invalid_token")/.test(challenge);
}
