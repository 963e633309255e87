import {
  type IpAddress,
  type IpNetwork,
  isWithin,
  networkOf,
  readIpAddress,
} from './ip-address.js';

/**
 * Who is at the other end of a request, as far as it is known: the peer of the socket, unless that is
 * a proxy of ours. What others say of themselves is not listened to.
 */

/** What Express and Fastify requests have in common, as far as it is read here. */
export interface ConnectedRequest {
  readonly headers: { readonly [name: string]: string | readonly string[] | undefined };
  readonly socket?: ConnectedSocket;
  /** Fastify keeps Node's request here; an Express request is Node's. */
  readonly raw?: { readonly socket?: ConnectedSocket };
}

export interface ConnectedSocket {
  readonly remoteAddress?: string | undefined;
  /** Only at a TLS socket. */
  readonly encrypted?: boolean;
}

/** The socket a request came over. */
export function socketOf(request: ConnectedRequest): ConnectedSocket | undefined {
  return request.raw?.socket ?? request.socket;
}

/** The addresses that `transport.trustedProxies` names. */
export class TrustedProxies {
  /** A peer keeps its address, and a proxy sends many requests over one connection. */
  readonly #peers = new WeakMap<ConnectedSocket, boolean>();

  constructor(private readonly networks: readonly IpNetwork[]) {}

  has(address: IpAddress): boolean {
    return this.networks.some((network) => isWithin(address, network));
  }

  /** Whether a request was handed over by a proxy of ours, so that its word counts. */
  sent(request: ConnectedRequest): boolean {
    if (this.networks.length === 0) return false;
    const socket = socketOf(request);
    if (socket?.remoteAddress === undefined) return false;
    let trusted = this.#peers.get(socket);
    if (trusted === undefined) {
      const peer = readIpAddress(socket.remoteAddress);
      this.#peers.set(socket, (trusted = peer !== undefined && this.has(peer)));
    }
    return trusted;
  }
}

/** Bits that are kept of an address where only its neighbourhood is wanted: IPv4, IPv6. */
const PREFIX_BITS = { ipv4: 24, ipv6: 48 } as const;

/** No chain of proxies is longer; a header that says so was written to keep us busy. */
const MAX_HOPS = 32;

/** Finds the address of the client behind the proxies of `transport.trustedProxies`. */
export class ClientAddress {
  readonly #proxies: TrustedProxies;

  constructor(trustedProxies: readonly IpNetwork[]) {
    this.#proxies = new TrustedProxies(trustedProxies);
  }

  /**
   * The client's address in its one spelling (RFC 5952); `undefined` when the socket has none, as one
   * of the file system has not. `X-Forwarded-For` is read from its end, where the proxies of ours
   * wrote, up to the first address that is none of them. What is no address there ends it at the peer.
   */
  addressOf(request: ConnectedRequest): string | undefined {
    const peer = readIpAddress(socketOf(request)?.remoteAddress ?? '');
    if (peer === undefined) return undefined;
    if (!this.#proxies.sent(request)) return peer.toString();
    return (this.#behind(request, peer) ?? peer).toString();
  }

  /** As the function of this name. */
  prefixOf(address: string): string | undefined {
    return prefixOf(address);
  }

  /** `undefined` if a proxy of ours passed on what is no address. */
  #behind({ headers }: ConnectedRequest, peer: IpAddress): IpAddress | undefined {
    const header = headers['x-forwarded-for'];
    if (typeof header !== 'string') return header === undefined ? peer : undefined;
    let client = peer;
    let end = header.length;
    for (let hop = 0; end >= 0 && this.#proxies.has(client); hop++) {
      if (hop === MAX_HOPS) return undefined;
      const start = header.lastIndexOf(',', end - 1);
      const next = readIpAddress(header.slice(start + 1, end).trim());
      if (next === undefined) return undefined;
      client = next;
      end = start;
    }
    return client;
  }
}

/**
 * The neighbourhood of an address, as text: its first 24 bits of IPv4, or 48 of IPv6, such as
 * `203.0.113.0/24`. `undefined` for what is no address.
 */
export function prefixOf(address: string): string | undefined {
  const read = readIpAddress(address);
  return read === undefined ? undefined : networkOf(read, PREFIX_BITS[read.kind()]);
}
