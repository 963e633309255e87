import * as fc from 'fast-check';

import {
  addressBlockOf,
  ClientAddress,
  type ConnectedRequest,
  prefixOf,
  TrustedProxies,
} from '../../lib/binding/client-address.js';
import type { ForwardedHeader } from '../../lib/binding/forwarded-header.js';
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

describe('ClientAddress by Forwarded', () => {
  const client = new ClientAddress(PROXIES, 'Forwarded');

  function forwarded(header: string | undefined, others: ConnectedRequest['headers'] = {}) {
    const headers = { forwarded: header, ...others };
    return new Set(requestFrom(PROXY, headers).map((request) => client.addressOf(request)));
  }

  it.each([
    ['what the proxy wrote', 'for=198.51.100.1;proto=https', '198.51.100.1'],
    ['of several the last that is no proxy', 'for=1.1.1.1, for=198.51.100.1', '198.51.100.1'],
    [
      'past proxies of both families',
      'for=198.51.100.1, for="[2001:db8:ffff::9]:80",for=10.0.0.9',
      '198.51.100.1',
    ],
    ['behind quotes that never close', 'for="1.1.1.1, for=198.51.100.1', '198.51.100.1'],
    ['the first, if all are ours', 'for=10.0.0.7, for=10.0.0.8', '10.0.0.7'],
    ['the proxy, if it wrote nothing', undefined, PROXY],
    ['the proxy, if it hides the client', 'for=_hidden', PROXY],
    ['the proxy, if the client is unknown', 'for=1.1.1.1, for=unknown', PROXY],
    ['the proxy, if another one hides it', 'for=1.1.1.1, for=_hidden, for=10.0.0.9', PROXY],
    ['the proxy, if an element is empty', 'for=198.51.100.1,,for=10.0.0.9', PROXY],
    ['the proxy, if an element has two', 'for=198.51.100.1;for=198.51.100.2', PROXY],
    ['the proxy, if it wrote the other header', '198.51.100.1', PROXY],
  ])('is %s', (_, header, address) => {
    expect(forwarded(header)).toEqual(new Set([address]));
  });

  it.each([
    [31, '198.51.100.1'],
    [32, PROXY],
  ])('goes past %d proxies at most', (proxies, address) => {
    const header = ['for=198.51.100.1', ...Array<string>(proxies).fill('for=10.0.0.9')].join(', ');
    expect(forwarded(header)).toEqual(new Set([address]));
  });

  it('does not read what other proxies write', () => {
    expect(forwarded(undefined, { 'x-forwarded-for': '198.51.100.1' })).toEqual(new Set([PROXY]));
    expect(forwarded('for=198.51.100.1', { 'x-forwarded-for': '198.51.100.2' })).toEqual(
      new Set(['198.51.100.1']),
    );
  });

  it('listens to nobody else', () => {
    const found = requestFrom('203.0.113.7', { forwarded: 'for=198.51.100.1' });
    expect(new Set(found.map((request) => client.addressOf(request)))).toEqual(
      new Set(['203.0.113.7']),
    );
  });
});

describe('a connection that many requests come over', () => {
  const HEADERS: readonly (readonly [ForwardedHeader, string, string])[] = [
    ['X-Forwarded-For', '198.51.100.1', '198.51.100.2'],
    ['Forwarded', 'for=198.51.100.1', 'for=198.51.100.2'],
  ];

  it.each(HEADERS)('tells clients behind one proxy apart by %s', (name, one, other) => {
    const client = new ClientAddress(PROXIES, name);
    const socket = { remoteAddress: PROXY };
    const found = [one, one, undefined, other, one, [one]].map((value) =>
      client.addressOf({ headers: { [name.toLowerCase()]: value }, socket }),
    );
    const [first, second] = ['198.51.100.1', '198.51.100.2'];
    expect(found).toEqual([first, first, PROXY, second, first, PROXY]);
  });

  it('is remembered once it is closed, and never known if it was closed before', () => {
    const client = new ClientAddress(PROXIES);
    const headers = { 'x-forwarded-for': '198.51.100.1' };
    const socket: { remoteAddress: string | undefined } = { remoteAddress: PROXY };
    const before = client.addressOf({ headers, socket });
    socket.remoteAddress = undefined;
    expect([before, client.addressOf({ headers, socket })]).toEqual([
      '198.51.100.1',
      '198.51.100.1',
    ]);
    const closed = { remoteAddress: undefined };
    expect(client.addressOf({ headers, socket: closed })).toBeUndefined();
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

describe('addressBlockOf', () => {
  it.each([
    ['203.0.113.77', '203.0.113.77/32'],
    ['::ffff:203.0.113.77', '203.0.113.77/32'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8:1:2:ffff:ffff:ffff:ffff', '2001:db8:1:2::/64'],
    ['2001:DB8:0001:0002::', '2001:db8:1:2::/64'],
    ['2001:db8:1:3::', '2001:db8:1:3::/64'],
    ['fe80::1%eth0', 'fe80::/64'],
    ['::1', '::/64'],
    ['unknown', undefined],
    ['', undefined],
  ])('of %j is %j', (address, block) => {
    expect(addressBlockOf(address)).toBe(block);
  });
});

describe('every spelling of one address', () => {
  const v4 = fc.ipV4();
  const v6 = fc.ipV6();

  it('is one address, one prefix and one block', () => {
    const spellings = fc.oneof(
      v4.map((text) => [text, `${text}:80`, `::ffff:${text}`, `[::FFFF:${text}]:443`]),
      v6.map((text) => [text, text.toUpperCase(), `[${text}]`, `[${text}]:443`, `${text}%eth0`]),
    );
    fc.assert(
      fc.property(spellings, (texts) => {
        const seen = texts.map((text) => {
          const [address] = addressesOf(PROXY, text);
          return [address, prefixOf(text), addressBlockOf(text)];
        });
        expect(seen).toEqual(texts.map(() => seen[0]));
        expect(seen[0]?.[0]).toEqual(expect.any(String));
      }),
    );
  });
});
