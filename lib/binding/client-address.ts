import type { X509Certificate } from 'node:crypto';

import { LRUCache } from 'lru-cache';

import { type ForwardedHeader, HOP_READERS, type HopReader } from './forwarded-header.js';
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
  /** Only at a TLS socket, as all that follows. */
  readonly encrypted?: boolean;
  /** Whether the client's certificate was validated. */
  readonly authorized?: boolean;
  /** Why it was not; `null` if nothing is wrong. */
  readonly authorizationError?: Error | string | null | undefined;
  getPeerX509Certificate?(): X509Certificate | undefined;
  disableRenegotiation?(): void;
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
    if (socket === undefined) return false;
    let trusted = this.#peers.get(socket);
    if (trusted === undefined) {
      // It may have been closed before anybody asked; what was known of it before still holds.
      if (socket.remoteAddress === undefined) return false;
      const peer = readIpAddress(socket.remoteAddress);
      this.#peers.set(socket, (trusted = peer !== undefined && this.has(peer)));
    }
    return trusted;
  }
}

/** Bits that are kept of an address where only its neighbourhood is wanted. */
const PREFIX_BITS = { ipv4: 24, ipv6: 48 } as const;
/** Whoever has an IPv6 address has 64 bits of them to choose from (RFC 4291 §2.5.1, RFC 8981). */
const BLOCK_BITS = { ipv4: 32, ipv6: 64 } as const;

/** No chain of proxies is longer; a header that says so was written to keep us busy. */
const MAX_HOPS = 32;

/** Headers whose reading is remembered, and how long one of them may be. */
const REMEMBERED = 1_000;
const MEMORABLE_LENGTH = 256;

/** Finds the address of the client behind the proxies of `transport.trustedProxies`. */
export class ClientAddress {
  readonly #proxies: TrustedProxies;
  readonly #header: Lowercase<ForwardedHeader>;
  readonly #readHop: HopReader;
  /** Every request of a connection asks, and its peer stays the same. */
  readonly #peers = new WeakMap<ConnectedSocket, string>();
  /** What proxies wrote of a client, they write again of its next request. */
  readonly #read = new LRUCache<string, { readonly client: string | undefined }>({
    max: REMEMBERED,
  });

  /** @param forwardedHeader the one that the proxies write; the other one is never read */
  constructor(
    trustedProxies: readonly IpNetwork[],
    forwardedHeader: ForwardedHeader = 'X-Forwarded-For',
  ) {
    this.#proxies = new TrustedProxies(trustedProxies);
    this.#header = forwardedHeader === 'Forwarded' ? 'forwarded' : 'x-forwarded-for';
    this.#readHop = HOP_READERS[forwardedHeader];
  }

  /**
   * The client's address in its one spelling (RFC 5952); `undefined` when the socket has none, as one
   * of the file system has not. The header of the proxies is read from its end, where those of ours
   * wrote, up to the first address that is none of them. What is no address there ends it at the peer.
   */
  addressOf(request: ConnectedRequest): string | undefined {
    const socket = socketOf(request);
    if (socket === undefined) return undefined;
    const header = this.#proxies.sent(request) ? request.headers[this.#header] : undefined;
    const client = typeof header === 'string' ? this.#clientIn(header) : undefined;
    return client ?? this.#peerOf(socket);
  }

  /** As the function of this name. */
  prefixOf(address: string): string | undefined {
    return prefixOf(address);
  }

  #peerOf(socket: ConnectedSocket): string | undefined {
    let peer = this.#peers.get(socket);
    if (peer === undefined) {
      peer = readIpAddress(socket.remoteAddress ?? '')?.toString();
      if (peer !== undefined) this.#peers.set(socket, peer);
    }
    return peer;
  }

  #clientIn(header: string): string | undefined {
    let read = this.#read.get(header);
    if (read === undefined) {
      read = { client: this.#walk(header)?.toString() };
      if (header.length <= MEMORABLE_LENGTH) this.#read.set(header, read);
    }
    return read.client;
  }

  /** `undefined` if a proxy of ours passed on what is no address. */
  #walk(header: string): IpAddress | undefined {
    let client: IpAddress | undefined;
    let end = header.length;
    for (let hop = 0; end >= 0 && (client === undefined || this.#proxies.has(client)); hop++) {
      const next = hop === MAX_HOPS ? undefined : this.#readHop(header, end);
      if (next === undefined) return undefined;
      client = next.address;
      end = next.before;
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

/**
 * What stands for one client where its address is compared: IPv4 itself, and of IPv6 the first 64
 * bits, such as `203.0.113.7/32` or `2001:db8::/64`. `undefined` for what is no address.
 */
export function addressBlockOf(address: string): string | undefined {
  const read = readIpAddress(address);
  return read === undefined ? undefined : networkOf(read, BLOCK_BITS[read.kind()]);
}
