import { Injectable } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';

import { ambiguous, type HttpRequest } from '../guard/credentials.js';
import { secretsEqual } from '../kernel/constant-time.js';
import { AccessError } from '../kernel/errors.js';
import { csrfTokenOf, readRefreshToken } from '../sessions/refresh-token.js';
import type { TokenPair } from '../sessions/session.js';
import { readCookie } from './cookie-header.js';
import { COOKIE_NAMES } from './cookie-names.js';
import { csrfHeader } from './csrf-header.js';
import { RequestOrigin } from './request-origin.js';
import { clearedCookie, sessionCookie } from './session-cookie.js';
import type { TransportConfig } from './transport-config.js';

/** What a page is told about tokens it cannot see (RFC 6749 §5.1, without the tokens). */
export interface CookieAnswer {
  readonly token_type: 'Bearer';
  /** Seconds until the access token expires. */
  readonly expires_in: number;
  readonly scope: string;
  /** To be sent back in `X-CSRF-Token`; also in the cookie `__Host-csrf_token`. */
  readonly csrf_token: string;
}

/** Fastify's answer keeps Node's, on which middleware leaves its cookies. */
interface CookieResponse {
  readonly raw?: {
    getHeader(name: string): string | number | readonly string[] | undefined;
    removeHeader(name: string): void;
  };
}

const SET_COOKIE = 'Set-Cookie';

/**
 * Carries a session in cookies: the access and the refresh token where no script can read them, and
 * the CSRF token where the page's own can. Needs `transport.cookies`.
 */
@Injectable()
export class SessionCookies {
  readonly #settings: TransportConfig['cookies'];
  readonly #origin: RequestOrigin;

  /** @internal */
  constructor(
    config: TransportConfig,
    private readonly host: HttpAdapterHost,
  ) {
    this.#settings = config.cookies;
    this.#origin = new RequestOrigin(config);
  }

  /**
   * Puts what a login or a refresh gave into cookies, and answers what may stand in the body.
   * @param response the answer of Express or Fastify (`@Res({ passthrough: true })`)
   * @throws ClaimError `ERR_CLAIM_TOO_LARGE` if a browser would drop the access token silently
   * @throws TypeError if `transport.cookies` is not set, or the session was started for another carrier
   */
  write(response: object, pair: TokenPair): CookieAnswer {
    if (this.#settings === null) throw new TypeError('transport.cookies is not set');
    const { csrfToken, expiresIn, refreshExpiresIn } = pair;
    if (pair.carrier !== 'cookie' || csrfToken === undefined) {
      throw new TypeError("only a session started with carrier: 'cookie' travels in cookies");
    }
    const { sameSite } = this.#settings;
    // All of them before any: half a session is none.
    const cookies = [
      sessionCookie('access', pair.accessToken, { maxAge: expiresIn, sameSite }),
      sessionCookie('refresh', pair.refreshToken, { maxAge: refreshExpiresIn, sameSite }),
      // As long as the refresh, which cannot be asked for without it.
      sessionCookie('csrf', csrfToken, { maxAge: refreshExpiresIn, sameSite }),
    ];
    this.#append(response, cookies);
    // RFC 6749 §5.1.
    this.host.httpAdapter.setHeader(response, 'Cache-Control', 'no-store');
    return {
      token_type: 'Bearer',
      expires_in: expiresIn,
      scope: pair.scope,
      csrf_token: csrfToken,
    };
  }

  /**
   * The refresh token in the request's cookies, or `undefined` if there is none, or `transport.cookies`
   * is not set. Whether it is good is for `SessionService.refresh` to say. If that refuses it, leave the
   * cookies alone: another tab may have got new ones meanwhile.
   * @throws AccessError `ERR_ACCESS_CSRF` unless the session's own page sent the request
   * @throws AccessError `ERR_ACCESS_AMBIGUOUS_CREDENTIALS` if there is a second one, also in the body
   */
  readRefreshToken(request: HttpRequest): string | undefined {
    if (this.#settings === null) return undefined;
    const text = readCookie(request.headers.cookie, COOKIE_NAMES.refresh);
    if (text === undefined) return undefined;
    const { body } = request;
    if (typeof body === 'object' && body !== null && 'refresh_token' in body) {
      throw ambiguous('a refresh token in a cookie and in the body');
    }
    this.#origin.assertAllowed(request);
    const token = readRefreshToken(text);
    // There is nothing a forged request could do with what is none.
    if (token === undefined) return text;
    const sent = csrfHeader(request);
    if (sent === undefined || !secretsEqual(sent, csrfTokenOf(token))) {
      throw new AccessError('ERR_ACCESS_CSRF', 'the CSRF token is missing or of another session');
    }
    return text;
  }

  /**
   * For a login that will write cookies: that another site did not send it, to log its victim in as
   * somebody else.
   * @throws AccessError `ERR_ACCESS_CSRF`
   * @throws TypeError if `transport.cookies` is not set
   */
  assertSameOrigin(request: HttpRequest): void {
    if (this.#settings === null) throw new TypeError('transport.cookies is not set');
    this.#origin.assertAllowed(request);
  }

  /**
   * Puts the cookie that goes with a session bound by it (`binding: { kind: 'cookie' }`) beside the
   * tokens that stand in the body: after the login and after every refresh. Needs no
   * `transport.cookies`.
   * @throws TypeError if the session is not bound by it
   */
  writeSenderCookie(response: object, { senderCookie, refreshExpiresIn }: TokenPair): void {
    if (senderCookie === undefined) throw new TypeError('the session is not bound by a cookie');
    const sameSite = this.#settings?.sameSite ?? 'strict';
    const cookie = sessionCookie('sender', senderCookie, { maxAge: refreshExpiresIn, sameSite });
    this.#append(response, [cookie]);
    this.host.httpAdapter.setHeader(response, 'Cache-Control', 'no-store');
  }

  /** Makes the browser forget the cookies: for a logout, never for a refresh that was refused. */
  clear(response: object): void {
    if (this.#settings === null) return;
    const { sameSite } = this.#settings;
    this.#append(response, [
      clearedCookie('access', sameSite),
      clearedCookie('refresh', sameSite),
      clearedCookie('csrf', sameSite),
    ]);
  }

  /** The same for the sender cookie. */
  clearSenderCookie(response: object): void {
    this.#append(response, [clearedCookie('sender', this.#settings?.sameSite ?? 'strict')]);
  }

  #append(response: CookieResponse, cookies: readonly string[]): void {
    const { httpAdapter } = this.host;
    // Fastify writes its own headers over those on Node's answer.
    const earlier = response.raw?.getHeader(SET_COOKIE);
    if (earlier !== undefined) {
      response.raw?.removeHeader(SET_COOKIE);
      for (const cookie of [earlier].flat()) {
        httpAdapter.appendHeader(response, SET_COOKIE, String(cookie));
      }
    }
    for (const cookie of cookies) httpAdapter.appendHeader(response, SET_COOKIE, cookie);
  }
}
