import { hash } from 'node:crypto';

/**
 * What an access token that travels in a cookie says of the CSRF token that must come with it. The
 * CSRF token itself is derived from the session's refresh token, so nobody who sees only an access
 * token can make one.
 */
export function csrfDigest(csrfToken: string): string {
  return hash('sha256', `csrf\0${csrfToken}`, 'base64url');
}
