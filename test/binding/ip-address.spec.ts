import { isWithin, networkOf, readIpAddress, readIpNetwork } from '../../lib/binding/ip-address.js';

describe('readIpAddress', () => {
  it.each([
    ['203.0.113.7', '203.0.113.7'],
    ['203.0.113.7:443', '203.0.113.7'],
    ['::ffff:203.0.113.7', '203.0.113.7'],
    ['::FFFF:203.0.113.7', '203.0.113.7'],
    ['::ffff:cb00:7107', '203.0.113.7'],
    ['0:0:0:0:0:ffff:cb00:7107', '203.0.113.7'],
    ['[::ffff:203.0.113.7]:8080', '203.0.113.7'],
    ['2001:db8::1', '2001:db8::1'],
    ['2001:DB8:0:0::1', '2001:db8::1'],
    ['2001:0db8:0000:0000:0000:0000:0000:0001', '2001:db8::1'],
    ['[2001:db8::1]', '2001:db8::1'],
    ['[2001:DB8::1]:443', '2001:db8::1'],
    ['2001:db8::0.0.0.1', '2001:db8::1'],
    ['fe80::1%eth0', 'fe80::1'],
    ['FE80::1%25eth0', 'fe80::1'],
    ['[fe80::1%eth0]:80', 'fe80::1'],
    ['::1', '::1'],
    ['::', '::'],
    // Compatible with IPv4, not mapped: deprecated, and another address (RFC 4291 §2.5.5.1).
    ['::203.0.113.7', '::cb00:7107'],
    ['0:0:0:0:0:0:203.0.113.7', '::cb00:7107'],
    ['::cb00:7107', '::cb00:7107'],
    ['64:ff9b::203.0.113.7', '64:ff9b::cb00:7107'],
    ['::ffff:0:203.0.113.7', '::ffff:0:cb00:7107'],
    ['1:2:3:4:5:6:0.0.0.0', '1:2:3:4:5:6::'],
  ])('reads %j as %s', (text, address) => {
    expect(readIpAddress(text)?.toString()).toBe(address);
  });

  it.each([
    '',
    ' ',
    'unknown',
    '_hidden',
    'localhost',
    'example.com',
    '203.0.113',
    '203.0.113.7.',
    '203.0.113.256',
    '203.0.113.07',
    '0xcb.0.113.7',
    '3405803783',
    ' 203.0.113.7',
    '203.0.113.7 ',
    '203.0.113.7:',
    '203.0.113.7:99999999',
    '203.0.113.7:http',
    '203.0.113.7/24',
    '[203.0.113.7]',
    '[2001:db8::1',
    '2001:db8::1]',
    '[2001:db8::1]443',
    '[[2001:db8::1]]',
    '2001:db8::1::2',
    '2001:db8:::1',
    '2001:db8::g',
    '12001:db8::1',
    'for=203.0.113.7',
    '"203.0.113.7"',
    '２０３.0.113.7',
    '203.0.113.7\u0000',
    '203.0.113.7, 203.0.113.8',
  ])('finds no address in %j', (text) => {
    expect(readIpAddress(text)).toBeUndefined();
  });
});

describe('readIpNetwork', () => {
  it.each([
    ['10.0.0.0/8', '10.255.0.1', '11.0.0.0'],
    ['10.0.0.1', '10.0.0.1', '10.0.0.2'],
    ['10.0.0.1/32', '10.0.0.1', '10.0.0.2'],
    ['192.0.2.128/25', '192.0.2.255', '192.0.2.127'],
    ['192.0.2.1/32', '::ffff:192.0.2.1', '::192.0.2.1'],
    ['::192.0.2.1', '::c000:201', '192.0.2.1'],
    ['2001:db8::/32', '2001:db8:ffff::1', '2001:db9::'],
    ['2001:DB8::/32', '2001:db8::1', '10.0.0.1'],
    ['::1', '::1', '127.0.0.1'],
    ['::ffff:10.0.0.1', '10.0.0.1', '10.0.0.2'],
    ['fe80::/10', 'fe80::1%eth0', '2001:db8::1'],
  ])('reads %j, with %s in it and %s not', (text, inside, outside) => {
    const network = readIpNetwork(text);
    const isIn = (address: string): boolean => {
      const read = readIpAddress(address);
      if (network === undefined || read === undefined) throw new Error('it does not read');
      return isWithin(read, network);
    };
    expect([isIn(inside), isIn(outside)]).toEqual([true, false]);
  });

  it.each([
    '',
    '/',
    '10.0.0.0/',
    '10.0.0.0/33',
    '10.0.0.0/-1',
    '10.0.0.0/08',
    '10.0.0.0/8.0',
    '10.0.0.0/8/8',
    '10.0.0.0/255.0.0.0',
    '10.0.0.1/8',
    '10/8',
    '10.0.0.0:80',
    '010.0.0.0/8',
    '2001:db8::/129',
    '2001:db8::1/32',
    '::ffff:10.0.0.0/104',
    'fe80::1%eth0',
    'fe80::%eth0/10',
    '[::1]',
    'loopback',
    '*',
  ])('finds no network in %j', (text) => {
    expect(readIpNetwork(text)).toBeUndefined();
  });
});

describe('networkOf', () => {
  it.each([
    ['203.0.113.255', 24, '203.0.113.0/24'],
    ['203.0.113.255', 0, '0.0.0.0/0'],
    ['2001:db8:1:2:3:4:5:6', 48, '2001:db8:1::/48'],
    ['2001:db8:1:2:3:4:5:6', 128, '2001:db8:1:2:3:4:5:6/128'],
  ])('of %s and %d bits is %s', (text, bits, network) => {
    const address = readIpAddress(text);
    expect(address === undefined ? undefined : networkOf(address, bits)).toBe(network);
  });
});
