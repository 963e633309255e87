import { type ConnectedRequest, socketOf, TrustedProxies } from '../binding/client-address.js';
import { type ForwardedHeader, forwardedProto } from '../binding/forwarded-header.js';
import type { TransportConfig } from './transport-config.js';

/** The last of the list, which the proxy before us wrote; schemes have no case (RFC 3986 §3.1). */
const HTTPS_AT_LAST_HOP = /(?:^|,)[ \t]*https[ \t]*$/i;

/**
 * Whether a request came over https: by its socket, or by the word of a proxy of ours, in the one
 * header that it writes. The word of anybody else is not listened to.
 */
export class ConnectionScheme {
  readonly #proxies: TrustedProxies;
  readonly #forwardedHeader: ForwardedHeader;

  constructor({
    trustedProxies,
    forwardedHeader,
  }: Pick<TransportConfig, 'trustedProxies' | 'forwardedHeader'>) {
    this.#proxies = new TrustedProxies(trustedProxies);
    this.#forwardedHeader = forwardedHeader;
  }

  isSecure(request: ConnectedRequest): boolean {
    const word = this.#proxies.sent(request) ? this.#wordIn(request) : undefined;
    // A proxy may come to us over https and have been asked over http.
    if (word !== undefined) return typeof word === 'string' && this.#saysHttps(word);
    return socketOf(request)?.encrypted === true;
  }

  #wordIn({ headers }: ConnectedRequest): string | readonly string[] | undefined {
    return headers[this.#forwardedHeader === 'Forwarded' ? 'forwarded' : 'x-forwarded-proto'];
  }

  #saysHttps(word: string): boolean {
    return this.#forwardedHeader === 'Forwarded'
      ? forwardedProto(word) === 'https'
      : HTTPS_AT_LAST_HOP.test(word);
  }
}
