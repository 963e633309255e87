import {
  ClientAddress,
  type ConnectedRequest,
  prefixOf,
  TrustedProxies,
} from '../../lib/binding/client-address.js';
import { type IpNetwork, readIpNetwork } from '../../lib/binding/ip-address.js';

const PROXIES = networks('10.0.0.0/8', '2001:db8:ffff::/48');
const PROXY = '10.0.0.1';

function networks(...texts: readonly string[]): readonly IpNetwork[] {
  return texts.map((text) => {
    const network = readIpNetwork(text);
    if (network === undefined) throw new Error(`${text} is no network`);
    return network;
  });
}

/** A request as Express has it, or with `raw` as Fastify has it. */
function requestFrom(
  remoteAddress: string | undefined,
  headers: ConnectedRequest['headers'] = {},
): readonly ConnectedRequest[] {
  const socket = { remoteAddress };
  return [
    { headers, socket },
    { headers, raw: { socket } },
  ];
}

function addressesOf(
  peer: string | undefined,
  forwardedFor?: string | readonly string[],
  trusted: readonly IpNetwork[] = PROXIES,
): ReadonlySet<string | undefined> {
  const client = new ClientAddress(trusted);
  const headers = { 'x-forwarded-for': forwardedFor };
  return new Set(requestFrom(peer, headers).map((request) => client.addressOf(request)));
}

describe('ClientAddress', () => {
  it.each([
    ['203.0.113.7', '203.0.113.7'],
    ['::ffff:203.0.113.7', '203.0.113.7'],
    ['2001:DB8::1', '2001:db8::1'],
    ['fe80::1%eth0', 'fe80::1'],
    // A socket of the file system, or one that was closed.
    [undefined, undefined],
    ['', undefined],
  ])('is the peer, %j, in its one spelling', (peer, address) => {
    expect(addressesOf(peer)).toEqual(new Set([address]));
  });

  it.each([
    ['203.0.113.7', []],
    ['203.0.113.7', PROXIES],
    ['11.0.0.1', PROXIES],
    [PROXY, []],
    ['127.0.0.1', PROXIES],
  ])('does not listen to %s, which is no proxy of ours', (peer, trusted) => {
    expect(addressesOf(peer, '198.51.100.1', trusted)).toEqual(new Set([peer]));
  });

  it('is nobody of whom only a header speaks', () => {
    expect(addressesOf(undefined, '198.51.100.1')).toEqual(new Set([undefined]));
  });

  it.each([
    ['what the proxy wrote', '198.51.100.1', '198.51.100.1'],
    ['of several the last that is no proxy', '1.1.1.1, 198.51.100.1', '198.51.100.1'],
    ['past proxies of ours', '1.1.1.1, 198.51.100.1, 10.0.0.9', '198.51.100.1'],
    ['past several of both families', '198.51.100.1,2001:db8:ffff::9, 10.0.0.9', '198.51.100.1'],
    ['past a mapped proxy', '198.51.100.1, ::ffff:10.0.0.9', '198.51.100.1'],
    ['not past what only claims to be behind', '10.0.0.9, 198.51.100.1', '198.51.100.1'],
    ['the first, if all are ours', '10.0.0.7, 10.0.0.8', '10.0.0.7'],
    ['without spaces', '1.1.1.1,198.51.100.1', '198.51.100.1'],
    ['with many spaces', '1.1.1.1 ,\t  198.51.100.1\t', '198.51.100.1'],
    ['without its port', '198.51.100.1:51234', '198.51.100.1'],
    ['without brackets and port', '[2001:DB8::1]:51234', '2001:db8::1'],
    ['without a zone', 'fe80::1%eth0', 'fe80::1'],
    ['unmapped', '::ffff:198.51.100.1', '198.51.100.1'],
  ])('behind a proxy of ours is %s', (_, header, address) => {
    expect(addressesOf(PROXY, header)).toEqual(new Set([address]));
    expect(addressesOf(`::ffff:${PROXY}`, header)).toEqual(new Set([address]));
  });

  it.each([
    ['nothing', undefined],
    ['an empty header', ''],
    ['junk', 'unknown'],
    ['a comma', ','],
    ['an empty end', '198.51.100.1,'],
    ['an empty end with a space', '198.51.100.1, '],
    ['junk at the end', '198.51.100.1, unknown'],
    ['junk behind a proxy of ours', '198.51.100.1, unknown, 10.0.0.9'],
    ['an emptiness behind a proxy of ours', '198.51.100.1,,10.0.0.9'],
    ['the syntax of another header', 'for=198.51.100.1'],
    ['a list that is a list', ['198.51.100.1']],
    ['more proxies than there can be', Array(200).fill('10.0.0.9').join(',')],
  ])('behind a proxy of ours that passes on %s is the proxy', (_, header) => {
    expect(addressesOf(PROXY, header)).toEqual(new Set([PROXY]));
  });

  it('reads no other header', () => {
    const headers = {
      forwarded: 'for=198.51.100.1',
      'x-real-ip': '198.51.100.1',
      'true-client-ip': '198.51.100.1',
      'cf-connecting-ip': '198.51.100.1',
    };
    const client = new ClientAddress(PROXIES);
    const found = requestFrom(PROXY, headers).map((request) => client.addressOf(request));
    expect(new Set(found)).toEqual(new Set([PROXY]));
  });
});

describe('TrustedProxies', () => {
  it('judges every connection by itself, as often as it is asked', () => {
    const proxies = new TrustedProxies(PROXIES);
    const [ours] = requestFrom(PROXY);
    const [theirs] = requestFrom('203.0.113.7');
    if (ours === undefined || theirs === undefined) throw new Error('no request');
    expect([ours, theirs, ours, theirs].map((request) => proxies.sent(request))).toEqual([
      true,
      false,
      true,
      false,
    ]);
  });
});

describe('prefixOf', () => {
  it.each([
    ['203.0.113.77', '203.0.113.0/24'],
    ['::ffff:203.0.113.77', '203.0.113.0/24'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1::/48'],
    ['2001:DB8:0001::', '2001:db8:1::/48'],
    ['fe80::1%eth0', 'fe80::/48'],
    ['::1', '::/48'],
    ['unknown', undefined],
    ['', undefined],
  ])('of %j is %j', (address, prefix) => {
    expect(prefixOf(address)).toBe(prefix);
    expect(new ClientAddress([]).prefixOf(address)).toBe(prefix);
  });
});
