import type { HttpRequest } from '../guard/credentials.js';

/**
 * The host a request was sent to, from headers that anybody can write: only in the form that browsers
 * send it.
 */

/** A name or an address, and perhaps a port: no user, no path, and no dot at the end. */
const HOST = /^(?:[a-z0-9](?:[a-z0-9._-]{0,251}[a-z0-9])?|\[[0-9a-f:.]{2,45}\])(?::\d{1,5})?$/i;

/** As a URL without a path; `undefined` if the request names no host in that form. */
export function hostUrl(request: HttpRequest, scheme: 'http' | 'https'): URL | undefined {
  // HTTP/2 has a pseudo-header in its place (RFC 9113 §8.3.1).
  const host = request.headers['host'] ?? request.headers[':authority'];
  if (typeof host !== 'string' || !HOST.test(host)) return undefined;
  const text = `${scheme}://${host}`;
  return URL.canParse(text) ? new URL(text) : undefined;
}
