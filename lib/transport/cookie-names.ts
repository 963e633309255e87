/**
 * The cookies of a session. With this prefix a browser takes a cookie only over https, for this host
 * alone and all its paths (RFC 6265bis §4.1.3.2), so that no other host of the domain can plant one.
 */
export const COOKIE_NAMES = {
  access: '__Host-access_token',
  refresh: '__Host-refresh_token',
  /** The one that a page's own script reads. */
  csrf: '__Host-csrf_token',
  /** The one that goes with tokens that scripts keep, and that no script reads. */
  sender: '__Host-sender',
} as const;
