import { type IpNetwork, readIpNetwork } from '../binding/ip-address.js';
import type { TransportConfig } from '../transport/transport-config.js';
import type { OptionReader } from './option-reader.js';

const SAME_SITE = { Strict: 'strict', Lax: 'lax' } as const;

const LOOPBACK = ['127.0.0.0/8', '::1'];

/** Hosts of this machine, which browsers trust without https. */
const LOCAL_HOSTS = ['localhost', '127.0.0.1', '[::1]'];

/** What is left of a host that browsers would send: no wildcard, and no dot at the end. */
const HOSTNAME = /^(?:[a-z0-9_.-]*[a-z0-9]|\[[0-9a-f:]+\])$/;

/** The transport options, checked; all problems are noted. */
export function readTransport(
  reader: OptionReader,
  { issuer, nodeEnv }: { readonly issuer: string; readonly nodeEnv: string | undefined },
): TransportConfig {
  const known = ['cookies', 'origins', 'https', 'trustedProxies', 'forwardedHeader'];
  reader.expectOnly('transport', known);
  return Object.freeze({
    issuer,
    cookies: readCookies(reader),
    origins: readOrigins(reader),
    https: readHttps(reader, nodeEnv),
    trustedProxies: readTrustedProxies(reader),
    forwardedHeader: reader.oneOf(
      'transport.forwardedHeader',
      ['X-Forwarded-For', 'Forwarded'],
      'X-Forwarded-For',
    ),
  });
}

function readCookies(reader: OptionReader): TransportConfig['cookies'] {
  const path = 'transport.cookies';
  const value = reader.get(path);
  if (value === undefined || value === null) return null;
  reader.expectOnly(path, ['sameSite']);
  const sameSite = reader.oneOf(`${path}.sameSite`, ['Strict', 'Lax'], 'Strict');
  return Object.freeze({ sameSite: SAME_SITE[sameSite] });
}

function readHttps(reader: OptionReader, nodeEnv: string | undefined): TransportConfig['https'] {
  const path = 'transport.https';
  const value = reader.get(path);
  if (value === null) return null;
  if (value === undefined) return nodeEnv === 'production' ? 'required' : null;
  if (value !== 'required') reader.refuse(path, "Write 'required', or null to do without https");
  return 'required';
}

function readOrigins(reader: OptionReader): TransportConfig['origins'] {
  const path = 'transport.origins';
  const list = readList(reader, path, "Write a list, such as ['https://app.example.com']");
  if (list === undefined) return null;
  if (list.length === 0) reader.refuse(path, 'Name one, or leave it out for your own origin');
  const origins = new Set<string>();
  for (const [index, origin] of list.entries()) {
    if (typeof origin === 'string' && isOrigin(origin)) origins.add(origin);
    else {
      const fix =
        "Write it as browsers do: https, the host, no path, such as 'https://app.example.com'";
      reader.refuse(`${path}.${index}`, fix);
    }
  }
  return Object.freeze([...origins]);
}

function isOrigin(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { origin, protocol, hostname } = new URL(text);
  if (origin !== text || !HOSTNAME.test(hostname)) return false;
  return protocol === 'https:' || (protocol === 'http:' && LOCAL_HOSTS.includes(hostname));
}

function readTrustedProxies(reader: OptionReader): readonly IpNetwork[] {
  const path = 'transport.trustedProxies';
  const list = readList(reader, path, "Write a list, such as ['10.0.0.0/8'] or ['loopback']") ?? [];
  const networks: IpNetwork[] = [];
  for (const [index, entry] of list.entries()) {
    const place = `${path}.${index}`;
    for (const text of entry === 'loopback' ? LOOPBACK : [entry]) {
      const network = typeof text === 'string' ? readIpNetwork(text) : undefined;
      if (network === undefined) {
        reader.refuse(place, "Write an address, a network such as '10.0.0.0/8', or 'loopback'");
      } else if (network[1] === 0) {
        const fix = 'Name the addresses or networks of your proxies';
        reader.add(place, 'it lets every client say who and how safe it is', fix);
      } else networks.push(network);
    }
  }
  return Object.freeze(networks);
}

/** A copy, which has no holes; `undefined` if nothing is written. */
function readList(reader: OptionReader, path: string, fix: string): unknown[] | undefined {
  const value = reader.get(path);
  if (value === undefined) return undefined;
  if (Array.isArray(value)) return [...(value as unknown[])];
  reader.refuse(path, fix);
  return undefined;
}
