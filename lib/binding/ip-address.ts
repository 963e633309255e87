import { isIP } from 'node:net';

import ipaddr from 'ipaddr.js';

/**
 * Internet addresses as text that others wrote. Every textual form of one address reads as one
 * address: IPv6 that maps IPv4, zone ids, upper case and zeros in any number.
 */
export type IpAddress = ipaddr.IPv4 | ipaddr.IPv6;

/** A network, such as `10.0.0.0/8`, or a single address. */
export type IpNetwork = readonly [network: IpAddress, bits: number];

/** `undefined` for what is no address; a port, as proxies add one, is left out. */
export function readIpAddress(text: string): IpAddress | undefined {
  return parse(text) ?? parse(withoutPort(text));
}

/** `undefined` for what is no network in its own spelling: bits beyond the prefix must be zero. */
export function readIpNetwork(text: string): IpNetwork | undefined {
  const [address = '', bits, ...more] = text.split('/');
  const network = address.includes('%') ? undefined : parse(address);
  if (network === undefined || more.length > 0) return undefined;
  const width = network.kind() === 'ipv4' ? 32 : 128;
  if (bits === undefined) return [network, width];
  // Of a mapped address it would be unclear what the bits are counted from.
  if (!/^(?:0|[1-9]\d{0,2})$/.test(bits) || Number(bits) > width || isMapped(address, network)) {
    return undefined;
  }
  const range: IpNetwork = [network, Number(bits)];
  return beginningOf(range) === network.toString() ? range : undefined;
}

/** Whether an address is in a network. */
export function isWithin(address: IpAddress, [network, bits]: IpNetwork): boolean {
  return address.kind() === network.kind() && address.match(network, bits);
}

/** The network that an address of so many leading bits is in, as text: `203.0.113.0/24`. */
export function networkOf(address: IpAddress, bits: number): string {
  return `${beginningOf([address, bits])}/${bits}`;
}

function beginningOf([address, bits]: IpNetwork): string {
  const bytes = address.toByteArray();
  const kept = bytes.map((byte, index) => {
    const free = Math.min(8, Math.max(0, (index + 1) * 8 - bits));
    return byte & (0xff << free);
  });
  return ipaddr.fromByteArray(kept).toString();
}

function parse(text: string): IpAddress | undefined {
  // ipaddr.js also reads octal, hexadecimal and shortened IPv4, which are many forms of one address.
  switch (isIP(text)) {
    case 4:
      return new ipaddr.IPv4(text.split('.').map(Number));
    case 6: {
      const [address = ''] = text.split('%');
      const read = ipaddr.IPv6.parse(address.replace(DOTTED_END, inGroups));
      return read.isIPv4MappedAddress() ? read.toIPv4Address() : read;
    }
    default:
      return undefined;
  }
}

/** ipaddr.js takes `::192.0.2.1` for the mapped address, `::c000:201` for another one (RFC 4291 §2.5.5). */
const DOTTED_END = /\d+\.\d+\.\d+\.\d+$/;

function inGroups(dotted: string): string {
  const [a = 0, b = 0, c = 0, d = 0] = dotted.split('.').map(Number);
  return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
}

function isMapped(text: string, address: IpAddress): boolean {
  return isIP(text) === 6 && address.kind() === 'ipv4';
}

function withoutPort(text: string): string {
  const match = /^(?:\[(?<v6>[^[\]]+)\]|(?<v4>[\d.]+))(?::\d{1,5})?$/.exec(text);
  const { v4, v6 } = match?.groups ?? {};
  // Brackets are for IPv6 alone (RFC 3986 §3.2.2).
  return v4 ?? (v6 !== undefined && isIP(v6) === 6 ? v6 : '');
}
