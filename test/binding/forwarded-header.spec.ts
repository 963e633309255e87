import * as fc from 'fast-check';

import { forwardedProto, HOP_READERS } from '../../lib/binding/forwarded-header.js';

/** The address and what is left of the header before it; `undefined` if there is no address. */
function lastHop(header: string): readonly [address: string, rest: string] | undefined {
  const hop = HOP_READERS.Forwarded(header, header.length);
  return hop && [hop.address.toString(), header.slice(0, Math.max(hop.before, 0))];
}

const addressOf = (header: string): string | undefined => lastHop(header)?.[0];

const TOKEN_CHARACTERS =
  "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

const token = fc.string({
  unit: fc.constantFrom(...TOKEN_CHARACTERS.split('')),
  minLength: 1,
  maxLength: 8,
});

/** Any text a quoted string can hold, as it is written there (RFC 9110 §5.6.4). */
const quotedString = fc
  .string({ unit: fc.constantFrom('"', '\\', ',', ';', '=', ' ', 'a', '\u00e4'), maxLength: 8 })
  .map((text) => `"${text.replaceAll(/["\\]/g, String.raw`\$&`)}"`);

const ipv4 = fc.ipV4();
const ipv6 = fc.ipV6();

/** An element as a proxy of ours writes it, and the address it names. */
const element = fc
  .record({
    node: fc.oneof(
      ipv4.map((address) => [address, address] as const),
      ipv4.map((address) => [`"${address}:4711"`, address] as const),
      ipv6.map((address) => [`"[${address}]"`, address] as const),
      ipv6.map((address) => [`"[${address}]:_port"`, address] as const),
    ),
    name: fc.constantFrom('for', 'For', 'FOR'),
    before: fc.dictionary(token, fc.oneof(token, quotedString), { maxKeys: 2 }),
    after: fc.dictionary(token, fc.oneof(token, quotedString), { maxKeys: 2 }),
    separator: fc.constantFrom(';', '; ', ' ; '),
  })
  .map(({ node: [node, address], name, before, after, separator }) => {
    const others = Object.entries({ ...before, ...after })
      .filter(([other]) => other.toLowerCase() !== 'for')
      .filter(
        ([other], index, all) =>
          all.findIndex(([same]) => same.toLowerCase() === other.toLowerCase()) === index,
      )
      .map(([other, value]) => `${other}=${value}`);
    const parameters = [...others.slice(0, 1), `${name}=${node}`, ...others.slice(1)];
    return { text: parameters.join(separator), address };
  });

describe('the last hop of Forwarded', () => {
  it.each([
    // RFC 7239 §4, §6.
    ['for=192.0.2.43', '192.0.2.43'],
    ['for=192.0.2.60;proto=http;by=203.0.113.43', '192.0.2.60'],
    ['for=192.0.2.60; proto=http; by=203.0.113.43', '192.0.2.60'],
    ['For="[2001:db8:cafe::17]:4711"', '2001:db8:cafe::17'],
    ['for="192.0.2.43:47011"', '192.0.2.43'],
    ['for=192.0.2.43, for="[2001:db8:cafe::17]"', '2001:db8:cafe::17'],
    ['for=192.0.2.43,for="[2001:db8:cafe::17]";by="_gazonk"', '2001:db8:cafe::17'],
    ['FOR=192.0.2.43', '192.0.2.43'],
    ['proto=https;for=192.0.2.43', '192.0.2.43'],
    ['for=192.0.2.43;', '192.0.2.43'],
    [';;for=192.0.2.43;;by=_a', '192.0.2.43'],
    ['\t for=192.0.2.43 \t', '192.0.2.43'],
    ['for="192.0.2.43"', '192.0.2.43'],
    ['for="192.0.2.43:_obfuscated"', '192.0.2.43'],
    ['for="[2001:DB8:CAFE:0:0:0:0:17]"', '2001:db8:cafe::17'],
    ['for="[::ffff:192.0.2.43]"', '192.0.2.43'],
    [String.raw`for="192\.0.2.4\3"`, '192.0.2.43'],
    ['for=192.0.2.43;host="a,b;for=1.1.1.1"', '192.0.2.43'],
    [String.raw`host="a\",for=1.1.1.1";for=192.0.2.43`, '192.0.2.43'],
    [String.raw`for=192.0.2.43;host="\\"`, '192.0.2.43'],
    ['for=192.0.2.43;host=""', '192.0.2.43'],
    ['for=192.0.2.43;secret="\u00e4"', '192.0.2.43'],
  ])('%s is from %s', (header, address) => {
    expect(addressOf(header)).toBe(address);
  });

  it.each([
    ['nothing', ''],
    ['an empty element', 'for=192.0.2.43,'],
    ['an element of white space', 'for=192.0.2.43, '],
    ['semicolons', ';;'],
    ['no for', 'proto=https;by=203.0.113.43'],
    ['unknown', 'for=unknown'],
    ['an obfuscated name', 'for=_hidden'],
    ['an obfuscated name, quoted', 'for="_SEVKISEK"'],
    ['a host', 'for=client.example'],
    ['two for', 'for=192.0.2.43;for=192.0.2.44'],
    ['two for in two spellings', 'for=192.0.2.43;FOR=192.0.2.43'],
    ['something else twice', 'for=192.0.2.43;by=_a;By=_b'],
    ['a port that is not quoted', 'for=192.0.2.43:4711'],
    ['brackets that are not quoted', 'for=[2001:db8::17]'],
    ['IPv6 without brackets', 'for="2001:db8::17"'],
    ['IPv4 in brackets', 'for="[192.0.2.43]"'],
    ['a bracket too few', 'for="[2001:db8::17"'],
    ['an empty port', 'for="192.0.2.43:"'],
    ['a port out of bounds', 'for="192.0.2.43:123456"'],
    ['an empty value', 'for='],
    ['an empty quoted value', 'for=""'],
    ['no value', 'for'],
    ['no name', '=192.0.2.43'],
    ['spaces around the equals sign', 'for = 192.0.2.43'],
    ['a space for a semicolon', 'for=192.0.2.43 proto=https'],
    ['quotes that do not end', 'for="192.0.2.43'],
    ['quotes that do not begin', 'for=192.0.2.43"'],
    ['quotes that end with a backslash', String.raw`for="192.0.2.43\"`],
    ['a lone quote', '"'],
    ['more that is no parameter', 'for=192.0.2.43;proto'],
    ['more that has a space in it', 'for=192.0.2.43;by=_a _b'],
    ['more whose quotes do not end', 'for=192.0.2.43;by="_a'],
    ['text behind quotes', 'for="192.0.2.43"x'],
    ['single quotes', "for='192.0.2.43'"],
    ['a line break', 'for="192.0.2.43\n"'],
    ['the syntax of another header', '192.0.2.43'],
    ['octal', 'for=0300.0.2.43'],
  ])('is nobody if it says %s', (_, header) => {
    expect(addressOf(header)).toBeUndefined();
  });

  it.each([
    ['a quote that never closes', 'for="'],
    ['a quote and an escape', 'for="\\'],
    ['a whole parameter in the open', 'for=6.6.6.6;x="'],
    ['backslashes', '\\\\\\'],
    ['commas', ',,,'],
    ['an escaped quote', String.raw`for="\"`],
  ])('is what the proxy wrote behind %s', (_, forged) => {
    expect(addressOf(`${forged}, for="[2001:db8::1]:80";host="x"`)).toBe('2001:db8::1');
    expect(addressOf(`${forged}, for=192.0.2.43`)).toBe('192.0.2.43');
  });

  it('is what the proxy wrote, whatever stands before', () => {
    const forged = fc.string({
      unit: fc.constantFrom(...'",;=\\ for16.[]:'.split('')),
      maxLength: 30,
    });
    fc.assert(
      fc.property(forged, element, (before, { text, address }) => {
        const alone = lastHop(text);
        const behind = lastHop(`${before}, ${text}`);
        expect(alone).toEqual([expect.any(String), '']);
        expect(behind).toEqual([alone?.[0], before]);
        // One spelling, and it is the address that was written.
        expect(HOP_READERS['X-Forwarded-For'](address, address.length)?.address.toString()).toBe(
          alone?.[0],
        );
      }),
      { numRuns: 2_000 },
    );
  });

  it('never throws, and never reads beyond its end', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.nat(), (header, length) => {
        const end = Math.min(length, header.length);
        const hop = HOP_READERS.Forwarded(header, end);
        expect(hop).toEqual(HOP_READERS.Forwarded(header.slice(0, end), end));
      }),
    );
  });
});

describe('forwardedProto', () => {
  it.each([
    ['for=192.0.2.43;proto=https', 'https'],
    ['for=_hidden;Proto="HTTPS"', 'https'],
    ['proto=https, for=192.0.2.43;proto=http', 'http'],
    ['for="x;proto=https, proto=http', 'http'],
    ['proto=https, for=192.0.2.43', undefined],
    ['proto=https,', undefined],
    ['proto=http;proto=https', undefined],
    ['for=192.0.2.43;proto="https', undefined],
    ['', undefined],
  ])('of %s is %s', (header, proto) => {
    expect(forwardedProto(header)).toBe(proto);
  });
});
