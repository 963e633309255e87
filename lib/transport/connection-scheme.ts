import { type ConnectedRequest, socketOf, TrustedProxies } from '../binding/client-address.js';
import type { IpNetwork } from '../binding/ip-address.js';

/** The last of the list, which the proxy before us wrote; schemes have no case (RFC 3986 §3.1). */
const HTTPS_AT_LAST_HOP = /(?:^|,)[ \t]*https[ \t]*$/i;

/**
 * Whether a request came over https: by its socket, or by the word of a proxy of ours
 * (`X-Forwarded-Proto`). The word of anybody else is not listened to.
 */
export class ConnectionScheme {
  readonly #proxies: TrustedProxies;

  constructor(trustedProxies: readonly IpNetwork[]) {
    this.#proxies = new TrustedProxies(trustedProxies);
  }

  isSecure(request: ConnectedRequest): boolean {
    const word = this.#proxies.sent(request) ? request.headers['x-forwarded-proto'] : undefined;
    // A proxy may come to us over https and have been asked over http.
    if (word !== undefined) return typeof word === 'string' && HTTPS_AT_LAST_HOP.test(word);
    return socketOf(request)?.encrypted === true;
  }
}
