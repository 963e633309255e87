import type { HttpRequest } from '../guard/credentials.js';
import { type HttpsDemand, InsecureRequest } from '../guard/request-transport.js';
import { ConnectionScheme } from './connection-scheme.js';
import { hostUrl } from './request-host.js';
import type { TransportConfig } from './transport-config.js';

/**
 * Refuses what came over http. Reads are shown the way to https on the same host; what writes has
 * sent its secrets in clear already, and is to notice.
 */
export class HttpsOnly implements HttpsDemand {
  readonly #scheme: ConnectionScheme;
  readonly #known: readonly URL[];

  constructor({ issuer, origins, ...proxies }: Omit<TransportConfig, 'cookies' | 'https'>) {
    this.#scheme = new ConnectionScheme(proxies);
    this.#known = [issuer, ...(origins ?? [])].flatMap((text) => {
      const url = URL.canParse(text) ? new URL(text) : undefined;
      return url?.protocol === 'https:' ? [url] : [];
    });
  }

  assertSecure(request: HttpRequest): void {
    if (this.#scheme.isSecure(request)) return;
    const { method } = request;
    const reads = method === 'GET' || method === 'HEAD';
    throw new InsecureRequest(reads ? this.#secureLocation(request) : undefined);
  }

  /** The host stays the one that was asked, so the answer leads nowhere its reader has not been. */
  #secureLocation(request: HttpRequest): string | undefined {
    const asked = hostUrl(request, 'http');
    const target = request.originalUrl ?? request.url;
    // A whole URL (RFC 9112 §3.2.2) names a host of its own.
    if (asked === undefined || target?.startsWith('/') !== true) return undefined;
    // On which port https is, only the configuration knows; by itself it is on its own.
    const known = this.#known.find(({ hostname }) => hostname === asked.hostname);
    const host = known?.host ?? asked.hostname;
    const text = `https://${host}${target}`;
    const location = URL.canParse(text) ? new URL(text) : undefined;
    return location?.host === host ? location.href : undefined;
  }
}
