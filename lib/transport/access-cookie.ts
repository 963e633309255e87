import { csrfDigest } from '../binding/csrf-digest.js';
import { type HttpRequest, refuseBesideCookie } from '../guard/credentials.js';
import type { CookieCredentials } from '../guard/request-transport.js';
import { secretsEqual } from '../kernel/constant-time.js';
import { AccessError, TokenError } from '../kernel/errors.js';
import type { VerifiedToken } from '../tokens/verified-token.js';
import { readCookie } from './cookie-header.js';
import { COOKIE_NAMES } from './cookie-names.js';
import { csrfHeader } from './csrf-header.js';
import { RequestOrigin } from './request-origin.js';
import type { TransportConfig } from './transport-config.js';

/** RFC 9110 §9.2.1, without TRACE. What is not in here may change something. */
const SAFE_METHODS: ReadonlySet<string | undefined> = new Set(['GET', 'HEAD', 'OPTIONS']);

/**
 * Takes access tokens from their cookie. A browser sends it along with what any site makes it send, so
 * whoever would change something must come from an allowed origin and know the session's CSRF token.
 */
export class AccessCookie implements CookieCredentials {
  readonly #issuer: string;
  readonly #origin: RequestOrigin;

  constructor(config: Omit<TransportConfig, 'cookies' | 'https'>) {
    this.#issuer = config.issuer;
    this.#origin = new RequestOrigin(config);
  }

  readToken(request: HttpRequest): string | undefined {
    const token = readCookie(request.headers.cookie, COOKIE_NAMES.access);
    if (token === undefined) return undefined;
    refuseBesideCookie(request);
    if (!SAFE_METHODS.has(request.method)) this.#origin.assertAllowed(request);
    return token;
  }

  assertIntended(request: HttpRequest, { issuer, claims }: VerifiedToken): void {
    const { csrf } = claims;
    if (issuer !== this.#issuer || typeof csrf !== 'string') {
      throw new TokenError('ERR_TOKEN_BINDING', 'the token was not issued for a cookie');
    }
    if (SAFE_METHODS.has(request.method)) return;
    const sent = csrfHeader(request);
    if (sent === undefined || !secretsEqual(csrfDigest(sent), csrf)) {
      throw new AccessError('ERR_ACCESS_CSRF', 'the CSRF token is missing or of another session');
    }
  }
}
