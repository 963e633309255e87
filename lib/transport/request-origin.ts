import type { HttpRequest } from '../guard/credentials.js';
import { AccessError } from '../kernel/errors.js';
import { ConnectionScheme } from './connection-scheme.js';
import { hostUrl } from './request-host.js';
import type { TransportConfig } from './transport-config.js';

/** What of the configuration decides that. */
export type OriginConfig = Pick<TransportConfig, 'origins' | 'trustedProxies' | 'forwardedHeader'>;

/**
 * Which site sent a request, by what browsers say and scripts cannot forge: `Origin` (RFC 6454 §7)
 * and `Sec-Fetch-Site` (Fetch Metadata). What says nothing is refused.
 */
export class RequestOrigin {
  readonly #allowed: readonly string[] | null;
  readonly #scheme: ConnectionScheme;

  constructor({ origins, ...proxies }: OriginConfig) {
    this.#allowed = origins;
    this.#scheme = new ConnectionScheme(proxies);
  }

  /** @throws AccessError `ERR_ACCESS_CSRF` unless a page of an allowed origin sent the request */
  assertAllowed(request: HttpRequest): void {
    const site = request.headers['sec-fetch-site'];
    const own = this.#ownOrigin(request);
    const origin = request.headers['origin'] ?? (site === 'same-origin' ? own : undefined);
    if (origin === undefined) throw foreign('nothing says which site sent the request');
    // Byte for byte, as browsers write it: lower case, no default port, nothing behind it.
    if (typeof origin !== 'string' || !(this.#allowed ?? [own]).includes(origin)) {
      throw foreign('the origin is not allowed');
    }
    // Where the origin was taken for our own by the Host header alone, nothing may contradict it.
    if (this.#allowed === null && site !== undefined && site !== 'same-origin') {
      throw foreign('Sec-Fetch-Site contradicts the origin');
    }
  }

  #ownOrigin(request: HttpRequest): string | undefined {
    return hostUrl(request, this.#scheme.isSecure(request) ? 'https' : 'http')?.origin;
  }
}

function foreign(detail: string): AccessError {
  return new AccessError('ERR_ACCESS_CSRF', detail);
}
