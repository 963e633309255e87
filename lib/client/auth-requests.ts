import { AuthClientError } from './auth-client-error.js';
import type { Browser } from './browser.js';
import { csrfTokenIn, fieldsOf, type Grant, readTerms, type Terms } from './grant.js';
import type { ClientSettings } from './options.js';

/** Milliseconds for a login or logout, body included. */
const TIME_LIMIT = 15_000;

/** For a refresh: an answer that got lost has to be asked for again within the server's grace window. */
const REFRESH_WITHIN = 4_000;

const SAFE_METHODS = ['GET', 'HEAD', 'OPTIONS'];
const MAX_RETRY_AFTER = 300;

/** Everything that leaves the page: requests with the credentials of a grant, to one origin only. */
export class AuthRequests {
  readonly #settings: ClientSettings;
  readonly #browser: Browser;

  constructor(settings: ClientSettings, browser: Browser) {
    this.#settings = settings;
    this.#browser = browser;
  }

  /** Sends it with what the transport needs. Never to another origin, not by a redirect either. */
  send(request: Request, grant: Grant | undefined): Promise<Response> {
    const { transport, base, signals } = this.#settings;
    const { protocol, host } = new URL(request.url);
    // Not the origin: a blob: URL has that of who made it.
    if (protocol !== base.protocol || host !== base.host) {
      throw new AuthClientError('ERR_CLIENT_ORIGIN');
    }
    const headers = new Headers(request.headers);
    const { access, csrf } = grant?.proofs ?? {};
    if (access !== undefined) headers.set('Authorization', `Bearer ${access}`);
    if (transport === 'cookie' && !SAFE_METHODS.includes(request.method)) {
      // The cookie first: it changes together with the others, whichever tab or route did that.
      const csrfToken = csrfTokenIn(this.#browser.cookies()) ?? csrf;
      if (csrfToken !== undefined) headers.set('X-CSRF-Token', csrfToken);
    }
    if (signals) headers.set('X-Client-Signals', signals);
    return this.#browser.fetch(
      new Request(request, {
        headers,
        credentials: transport === 'cookie' ? 'same-origin' : 'omit',
        // A redirect to another origin would take the headers along: in this mode it is an error.
        ...(base.origin === this.#browser.origin
          ? // Whatever the page's policy is: without a referrer some browsers send no origin either.
            { mode: 'same-origin', referrerPolicy: 'same-origin' }
          : { redirect: request.redirect === 'follow' ? 'error' : request.redirect }),
      }),
    );
  }

  /** Throws `ERR_CLIENT_REFUSED` when the server says no. */
  async login(credentials: Readonly<Record<string, unknown>>): Promise<Terms> {
    const { login, transport } = this.#settings;
    const sentAt = this.#browser.now();
    const body = transport === 'cookie' ? { ...credentials, transport } : credentials;
    const response = await this.#post(login, body, undefined);
    if (!response.ok) throw this.#refusal(response);
    return this.#terms(response, sentAt);
  }

  /**
   * The next terms; `undefined` when the server says that the session is over. Asked for once more
   * at once when there was no answer, if that is still wanted: the server may have given one, and
   * its grace window does not stand open for long.
   */
  async refresh(grant: Grant, isWanted: () => boolean): Promise<Terms | undefined> {
    const sentAt = this.#browser.now();
    const { refresh } = grant.proofs;
    const ask = (): Promise<Response> =>
      // With tokens the body is all: the access token may be over, and is of no use here.
      refresh === undefined
        ? this.#post(this.#settings.refresh, {}, grant)
        : this.#post(this.#settings.refresh, { refresh_token: refresh }, undefined);
    const response = await ask().catch((error: unknown) => {
      if (isWanted()) return ask();
      throw error;
    });
    if (response.status === 401 || (await isInvalidGrant(response))) return undefined;
    if (!response.ok) throw this.#unavailable(response);
    return this.#terms(response, sentAt);
  }

  /** Whether the server knew who was to be logged out. Throws when it did not do it. */
  async logout(grant: Grant): Promise<'ended' | 'unknown'> {
    const response = await this.#post(this.#settings.logout, {}, grant);
    if (response.status === 401) return 'unknown';
    if (!response.ok) throw this.#refusal(response);
    return 'ended';
  }

  async #post(url: URL, body: object, grant: Grant | undefined): Promise<Response> {
    const stop = new AbortController();
    const within = url === this.#settings.refresh ? REFRESH_WITHIN : TIME_LIMIT;
    const cancel = this.#browser.later(within, () => stop.abort());
    const request = new Request(url, {
      method: 'POST',
      headers: { Accept: 'application/json', 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
      // A page that is left must not lose cookies that the server has already exchanged.
      keepalive: this.#settings.transport === 'cookie',
      signal: stop.signal,
    });
    try {
      const response = await this.send(request, grant);
      // Read to its end within the time: an answer that stops half way is no answer.
      const text = await response.arrayBuffer();
      const { status, statusText, headers } = response;
      return new Response(text.byteLength > 0 ? text : null, { status, statusText, headers });
    } catch (cause) {
      throw new AuthClientError('ERR_CLIENT_UNAVAILABLE', { cause });
    } finally {
      cancel();
    }
  }

  async #terms(response: Response, sentAt: number): Promise<Terms> {
    // A syntax error would quote the answer, and so a token.
    const answer: unknown = await response.json().catch(() => undefined);
    const csrf = { csrf_token: csrfTokenIn(this.#browser.cookies()) };
    const terms = readTerms({ ...csrf, ...fieldsOf(answer) }, this.#settings.transport, sentAt);
    if (terms === undefined) throw new AuthClientError('ERR_CLIENT_ANSWER');
    return terms;
  }

  #refusal(response: Response): AuthClientError {
    const { status } = response;
    return status === 429 || status >= 500
      ? this.#unavailable(response)
      : new AuthClientError('ERR_CLIENT_REFUSED', { response });
  }

  #unavailable({ headers }: Response): AuthClientError {
    const said = headers.get('Retry-After') ?? '';
    const seconds = /^\d+$/.test(said)
      ? Number(said)
      : (Date.parse(said) - this.#browser.now()) / 1000;
    const retryAfter = seconds >= 0 ? Math.min(seconds, MAX_RETRY_AFTER) : undefined;
    return new AuthClientError('ERR_CLIENT_UNAVAILABLE', { retryAfter });
  }
}

/** What an OAuth token endpoint says of a session that is over (RFC 6749 §5.2). */
async function isInvalidGrant(response: Response): Promise<boolean> {
  if (response.status !== 400) return false;
  const answer: unknown = await response.json().catch(() => undefined);
  return fieldsOf(answer)['error'] === 'invalid_grant';
}
