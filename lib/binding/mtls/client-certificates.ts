import { createHash } from 'node:crypto';

import { LRUCache } from 'lru-cache';

import {
  type ConnectedRequest,
  type ConnectedSocket,
  socketOf,
  TrustedProxies,
} from '../client-address.js';
import type { IpNetwork } from '../ip-address.js';
import { readClientCert } from './client-cert-header.js';

/** Whose certificates count, and who may hand on those of others. */
export interface MtlsConfig {
  /**
   * `'authorized'`: those that the TLS server validated. `'any'`: self-signed and expired ones too,
   * which prove nothing but that their key is at hand (RFC 8705 §2.2).
   */
  readonly certificates: 'authorized' | 'any';
  /** In which header the proxies hand on the certificates of their clients; `null` if they do not. */
  readonly proxyHeader: 'Client-Cert' | null;
  readonly trustedProxies: readonly IpNetwork[];
}

/** Characters of headers that are remembered, of some thousand bytes each. */
const REMEMBERED = 1024 * 1024;

/**
 * Which certificate the client of a request showed (RFC 8705 §3). That its key is at hand was proven
 * by the handshake: by ours, or by that of a proxy of ours.
 */
export class ClientCertificates {
  readonly #proxies: TrustedProxies;
  /** Of connections that showed one; what showed none may still do so. */
  readonly #shown = new WeakMap<ConnectedSocket, string>();
  /** Headers that were read without fault, as proxies send them with every request of a client. */
  readonly #read = new LRUCache<string, string>({
    maxSize: REMEMBERED,
    sizeCalculation: (_, header) => header.length,
  });

  constructor(private readonly config: MtlsConfig) {
    this.#proxies = new TrustedProxies(config.trustedProxies);
  }

  /**
   * The SHA-256 of the client's certificate in DER, as `x5t#S256` has it; `undefined` if it showed
   * none that counts.
   * @throws ProofError `ERR_PROOF_CERTIFICATE` if a proxy of ours handed on what is no certificate
   */
  thumbprintOf(request: ConnectedRequest): string | undefined {
    // The certificate of a connection from a proxy is the proxy's own, not that of its clients.
    if (this.#proxies.sent(request)) return this.#handedOn(request);
    const socket = socketOf(request);
    return socket === undefined ? undefined : (this.#shown.get(socket) ?? this.#shownAt(socket));
  }

  #handedOn({ headers }: ConnectedRequest): string | undefined {
    const header = this.config.proxyHeader === null ? undefined : headers['client-cert'];
    if (header === undefined) return undefined;
    const known = typeof header === 'string' ? this.#read.get(header) : undefined;
    if (known !== undefined) return known;
    const thumbprint = digestOf(readClientCert(header));
    if (typeof header === 'string') this.#read.set(header, thumbprint);
    return thumbprint;
  }

  #shownAt(socket: ConnectedSocket): string | undefined {
    if (this.config.certificates === 'authorized' && !isAuthorized(socket)) return undefined;
    // A connection that resumed a TLS session without one is "authorized" in TLS 1.3 (node#35317).
    const certificate = socket.getPeerX509Certificate?.();
    if (certificate === undefined) return undefined;
    // From here on nobody can show another one over this connection (RFC 5246 §7.4.1.1).
    socket.disableRenegotiation?.();
    const thumbprint = digestOf(certificate.raw);
    this.#shown.set(socket, thumbprint);
    return thumbprint;
  }
}

/** Node leaves the verdict of the first handshake standing beside the error of a later one. */
function isAuthorized({ authorized, authorizationError }: ConnectedSocket): boolean {
  return authorized === true && (authorizationError ?? null) === null;
}

function digestOf(der: Buffer): string {
  return createHash('sha256').update(der).digest('base64url');
}
