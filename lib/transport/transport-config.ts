import type { ForwardedHeader } from '../binding/forwarded-header.js';
import type { IpNetwork } from '../binding/ip-address.js';

/** The part of the configuration that the transport needs. */
export interface TransportConfig {
  /** This service's own issuer: tokens of others are never taken from a cookie. */
  readonly issuer: string;
  /** `null`: tokens travel in headers alone. */
  readonly cookies: { readonly sameSite: 'strict' | 'lax' } | null;
  /** Whose pages may send requests with cookies; `null` for those of the service itself. */
  readonly origins: readonly string[] | null;
  readonly https: 'required' | null;
  /** In which header they write it; the others are never read. */
  readonly forwardedHeader: ForwardedHeader;
  /** Proxies of ours, whose word about their clients counts. */
  readonly trustedProxies: readonly IpNetwork[];
}
