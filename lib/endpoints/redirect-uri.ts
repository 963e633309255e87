/**
 * Where the answers of the authorization endpoint may be sent: to the letter what a client was
 * registered with (RFC 9700 §4.1.3), but for the port of a loopback address (RFC 8252 §7.3).
 */

const MAX_LENGTH = 2_000;

/** Printable ASCII without what URL parsers forgive or rewrite. A star would look like a pattern. */
const PLAIN = /^[\x21\x23-\x29\x2b-\x3b\x3d\x3f-\x5b\x5d\x5f\x61-\x7a\x7e]+$/;
const WITH_HOST = /^https?:\/\/[^/?#@]+(?:[/?]|$)/;
/** RFC 8252 §7.1: a name its owner holds in the DNS, backwards. */
const PRIVATE_SCHEME = /^[a-z][a-z0-9+-]*(?:\.[a-z0-9+-]+)+:\/{0,3}[^/]/;
const LOOPBACK = /^http:\/\/(?<host>127\.0\.0\.1|\[::1\])(?::(?<port>[1-9]\d{0,4}))?(?=[/?]|$)/;
/** It may mean another address than the client's own, and is as good as registered. */
const LOCALHOST = /^http:\/\/localhost(?::\d{1,5})?(?:[/?]|$)/;

/** What this endpoint adds itself. */
const RESERVED = ['code', 'state', 'iss', 'error', 'error_description', 'error_uri', 'response'];

/** What speaks against registering a redirect URI; `undefined` if nothing does. */
export function redirectUriProblem(uri: string): string | undefined {
  if (uri.length > MAX_LENGTH) return 'it is too long';
  if (uri.includes('#')) return 'it has a fragment';
  if (uri.includes('*')) return 'it is a pattern, and only what is the same to the letter fits';
  if (!PLAIN.test(uri) || !URL.canParse(uri)) return 'it is no URI';
  if ([...new URL(uri).searchParams.keys()].some((name) => RESERVED.includes(name))) {
    return 'its query names a parameter of the answer';
  }
  if (/^https?:/.test(uri)) {
    if (!WITH_HOST.test(uri)) return 'it names no host, or a user';
    if (uri.startsWith('https:')) return undefined;
    const isLocal = LOCALHOST.test(uri) || withoutPort(uri) !== undefined;
    return isLocal ? undefined : 'it is http, and not on a loopback address';
  }
  return PRIVATE_SCHEME.test(uri) ? undefined : 'its scheme has no dot, so that it is nobody’s';
}

/** Whether a client that was registered with these may be answered there. */
export function isRegistered(registered: readonly string[], uri: string): boolean {
  if (registered.includes(uri)) return true;
  const anyPort = withoutPort(uri);
  return anyPort !== undefined && registered.some((known) => withoutPort(known) === anyPort);
}

/** The URI with parameters added to its query (RFC 6749 §3.1.2, §4.1.2). */
export function withParameters(
  uri: string,
  parameters: Readonly<Record<string, string | undefined>>,
): string {
  const added = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined) added.append(name, value);
  }
  return `${uri}${uri.includes('?') ? '&' : '?'}${added.toString()}`;
}

/** What a Content-Security-Policy calls the place a form ends up at. */
export function formTargetOf(uri: string): string {
  const { protocol, origin } = new URL(uri);
  return protocol === 'http:' || protocol === 'https:' ? origin : protocol;
}

/** For addresses of the client's own machine, where it takes whichever port is free. */
function withoutPort(uri: string): string | undefined {
  const match = LOOPBACK.exec(uri);
  if (match === null || Number(match.groups?.['port'] ?? 1) > 65_535) return undefined;
  return `http://${match.groups?.['host']}${uri.slice(match[0].length)}`;
}
