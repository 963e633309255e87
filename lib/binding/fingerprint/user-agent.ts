/**
 * Which browser a `User-Agent` header names, so coarsely that only another browser, another version
 * or another system reads as another one (RFC 9110 §10.1.5). Whatever else it says is left out.
 */
export interface UserAgent {
  readonly family: string;
  /** The major version. */
  readonly version: string | null;
  readonly system: string;
}

/** No browser says more; who does is known by its beginning. */
const MAX_LENGTH = 1_024;

/** Whoever calls itself by the names of others too stands before them. */
const FAMILIES: readonly (readonly [family: string, product: RegExp])[] = [
  ['edge', /\b(?:edg|edga|edgios|edge)\/(\d{1,5})/i],
  ['opera', /\b(?:opr|opt|opx|opios|opera)\/(\d{1,5})/i],
  ['samsung', /\bsamsungbrowser\/(\d{1,5})/i],
  ['vivaldi', /\bvivaldi\/(\d{1,5})/i],
  ['yandex', /\byabrowser\/(\d{1,5})/i],
  ['uc', /\bucbrowser\/(\d{1,5})/i],
  ['duckduckgo', /\b(?:duckduckgo|ddg)\/(\d{1,5})/i],
  ['google-app', /\bgsa\/(\d{1,5})/i],
  ['firefox', /\b(?:firefox|fxios|focus)\/(\d{1,5})/i],
  ['headless', /\bheadlesschrome\/(\d{1,5})/i],
  ['webview', /; wv\).{1,200}\bchrome\/(\d{1,5})/i],
  ['chrome', /\b(?:chrome|crios|chromium)\/(\d{1,5})/i],
  ['safari', /\bversion\/(\d{1,5})\S{0,20} (?:mobile\/\S{1,20} )?safari\//i],
  ['webkit', /\bapplewebkit\/(\d{1,5})/i],
];

/** Whatever is no browser goes by its first product, such as `okhttp/4.12.0`. */
const PRODUCT = /^([!#$%&'*+.^_`|~\w-]{1,32})(?:\/v?(\d{1,5}))?/;

/** Phones call themselves a kind of desktop: they stand before it. */
const SYSTEMS: readonly (readonly [system: string, name: RegExp])[] = [
  ['windows', /windows/i],
  ['ios', /iphone|ipad|ipod/i],
  ['android', /android/i],
  ['chromeos', /\bcros\b/i],
  ['macos', /mac os x|macintosh|darwin/i],
  ['linux', /linux|x11/i],
];

/** `undefined` for a header that is empty. */
export function readUserAgent(header: string): UserAgent | undefined {
  const text = header.slice(0, MAX_LENGTH).trim();
  if (text === '') return undefined;
  const system = SYSTEMS.find(([, name]) => name.test(text))?.[0] ?? 'other';
  for (const [family, product] of FAMILIES) {
    const version = product.exec(text)?.[1];
    if (version !== undefined) return { family, version, system };
  }
  const [, name = 'other', version = null] = PRODUCT.exec(text) ?? [];
  return { family: `product ${name.toLowerCase()}`, version, system };
}
