/**
 * Whether the `htu` of a proof names the resource that was asked for (RFC 9449 §4.3, check 9). Where
 * this service is, the configuration says; a request, which anybody can write, says only the path.
 *
 * Both sides are normalised by syntax and scheme (RFC 3986 §6.2.2, §6.2.3) and by nothing else: what a
 * parser of browsers would repair, such as `\`, line breaks or `0x7f.1`, is refused.
 */

/** An http or https URL as two texts that are equal where the resources are. */
interface HttpResource {
  /** Scheme, host, and the port unless it is the scheme's own. */
  readonly origin: string;
  readonly path: string;
}

const URL_PARTS =
  /^(?<scheme>https?):\/\/(?<host>\[[0-9a-f:.]+\]|[a-z0-9._~-]+)(?::(?<port>\d{0,5}))?(?<path>\/[^?#]*)?(?:[?#].*)?$/i;

const DEFAULT_PORTS: Readonly<Record<string, string>> = { http: '80', https: '443' };

/** Visible ASCII but for `\` and `#`, with `%` only before two hexadecimal digits. */
const PATH = /^\/(?:[!"$&-[\]-~]|%[0-9a-f]{2})*$/i;

/** RFC 3986 §2.3: these mean the same with and without an escape. */
const UNRESERVED = /^[A-Za-z0-9._~-]$/;

/** The public addresses of this service. */
export class PublicUrls {
  readonly #bases: readonly HttpResource[];
  readonly #plain: readonly string[];

  /** @param urls origins, or with the path that a proxy takes off before it passes a request on */
  constructor(urls: readonly URL[]) {
    this.#bases = urls.map((url) => {
      const base = readHttpResource(url.href);
      if (base === undefined) throw new TypeError('a public URL is no http or https URL');
      return { origin: base.origin, path: base.path.replace(/\/$/, '') };
    });
    this.#plain = urls.map(({ origin }, index) => origin + (this.#bases[index]?.path ?? ''));
  }

  /**
   * Whether `htu` is the address of this request target at one of the public URLs. Query and fragment
   * of `htu` count for nothing, as the RFC says.
   *
   * @param target path and query, as they came. Dot segments in it name nothing: clients resolve them
   * before they send, and what a router makes of the rest is its own affair.
   */
  name(htu: string, target: string | undefined): boolean {
    const asked = readTarget(target);
    if (asked === undefined) return false;
    // As nearly every client writes it: nothing is left to normalise.
    if (this.#plain.some((base) => htu === base + asked)) return true;
    const named = readHttpResource(htu);
    if (named === undefined) return false;
    return this.#bases.some(
      ({ origin, path }) => named.origin === origin && named.path === path + asked,
    );
  }
}

function readHttpResource(text: string): HttpResource | undefined {
  const { scheme, host, port, path } = URL_PARTS.exec(text)?.groups ?? {};
  const name = host === undefined ? undefined : readHost(host);
  const normal = readPath(path ?? '/');
  if (scheme === undefined || name === undefined || normal === undefined) return undefined;
  const protocol = scheme.toLowerCase();
  const number = Number(port === undefined || port === '' ? DEFAULT_PORTS[protocol] : port);
  if (number > 0xffff) return undefined;
  return { origin: `${protocol}://${name}:${number}`, path: withoutDotSegments(normal) };
}

/** An IPv6 address has many spellings; any other host has two, of which one is in lower case. */
function readHost(host: string): string | undefined {
  if (!host.startsWith('[')) return host.toLowerCase();
  const text = `http://${host}`;
  return URL.canParse(text) ? new URL(text).hostname : undefined;
}

function readTarget(target: string | undefined): string | undefined {
  // Neither a whole URL (RFC 9112 §3.2.2), whose host is only the client's word, nor `*`.
  const path = readPath(target?.split('?', 1)[0] ?? '');
  return path !== undefined && path === withoutDotSegments(path) ? path : undefined;
}

function readPath(text: string): string | undefined {
  if (!PATH.test(text)) return undefined;
  if (!text.includes('%')) return text;
  return text.replaceAll(/%[0-9a-f]{2}/gi, (escape) => {
    const character = String.fromCharCode(Number.parseInt(escape.slice(1), 16));
    return UNRESERVED.test(character) ? character : escape.toUpperCase();
  });
}

/** RFC 3986 §5.2.4, for a path that begins with a slash. */
function withoutDotSegments(path: string): string {
  if (!path.includes('/.')) return path;
  const segments = path.slice(1).split('/');
  const kept: string[] = [];
  for (const [index, segment] of segments.entries()) {
    const isDots = segment === '.' || segment === '..';
    if (segment === '..') kept.pop();
    if (!isDots) kept.push(segment);
    // What ends in dots is a directory.
    else if (index === segments.length - 1) kept.push('');
  }
  return `/${kept.join('/')}`;
}
