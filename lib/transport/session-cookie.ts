import { stringifySetCookie } from 'cookie';

import { ClaimError } from '../kernel/errors.js';
import { COOKIE_NAMES } from './cookie-names.js';

/**
 * One cookie of a session, as `Set-Cookie` text (RFC 6265bis §4.1). All have the same attributes, but
 * that a script may read the CSRF token.
 */

type CookieKind = keyof typeof COOKIE_NAMES;
type SameSite = 'strict' | 'lax';

/** Browsers drop a cookie of which name and value are longer, and say nothing (RFC 6265bis §5.6). */
const MAX_BYTES = 4096;

/** Tokens are made of these, and need no encoding. */
const VALUE = /^[A-Za-z0-9._-]+$/;

/**
 * @param maxAge in seconds
 * @throws ClaimError `ERR_CLAIM_TOO_LARGE` if browsers would drop it
 */
export function sessionCookie(
  kind: CookieKind,
  value: string,
  { maxAge, sameSite }: { readonly maxAge: number; readonly sameSite: SameSite },
): string {
  if (!VALUE.test(value)) throw new TypeError('the value is no token');
  if (COOKIE_NAMES[kind].length + value.length > MAX_BYTES) {
    const message = `The ${kind} token does not fit in a cookie (${MAX_BYTES} bytes): leave out claims.`;
    throw new ClaimError('ERR_CLAIM_TOO_LARGE', message);
  }
  return write(kind, value, { maxAge: Math.max(0, Math.floor(maxAge)), sameSite });
}

/** What makes a browser forget the cookie: the same attributes, and a time that has passed. */
export function clearedCookie(kind: CookieKind, sameSite: SameSite): string {
  return write(kind, '', { maxAge: 0, expires: new Date(0), sameSite });
}

function write(
  kind: CookieKind,
  value: string,
  times: { readonly maxAge: number; readonly expires?: Date; readonly sameSite: SameSite },
): string {
  return stringifySetCookie(
    {
      name: COOKIE_NAMES[kind],
      value,
      path: '/',
      secure: true,
      httpOnly: kind !== 'csrf',
      ...times,
    },
    { encode: (text) => text },
  );
}
