import { createSecretKey, generateKeyPairSync, hkdfSync, type KeyObject } from 'node:crypto';

import * as fc from 'fast-check';

import { KeyError } from '../../../lib/kernel/errors.js';
import {
  composeDerivedKid,
  DerivedSecretCache,
  type DerivedSecretRequest,
  deriveSecret,
  parseDerivedKid,
  periodOf,
} from '../../../lib/keys/secrets/derived-secrets.js';

const MASTER = Buffer.from(Array.from({ length: 32 }, (_, at) => at));
const REQUEST = {
  master: MASTER,
  issuer: 'https://issuer.test',
  subject: 'user-1',
  period: 20_000,
} satisfies DerivedSecretRequest;

function secret(change: Partial<DerivedSecretRequest> = {}): string {
  return deriveSecret({ ...REQUEST, ...change })
    .export()
    .toString('hex');
}

function codeOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof KeyError) return error.code;
    throw error;
  }
  return 'accepted';
}

describe('HKDF as this runtime computes it (RFC 5869 appendix A)', () => {
  const IKM = '0b'.repeat(22);
  const span = (from: number, length: number): string =>
    Buffer.from(Array.from({ length }, (_, at) => from + at)).toString('hex');

  it.each([
    [
      'A.1',
      IKM,
      span(0, 13),
      span(0xf0, 10),
      42,
      '3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865',
    ],
    [
      'A.2',
      span(0, 80),
      span(0x60, 80),
      span(0xb0, 80),
      82,
      'b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87',
    ],
    [
      'A.3',
      IKM,
      '',
      '',
      42,
      '8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8',
    ],
  ])('%s', (_case, ikm, salt, info, length, expected) => {
    const bytes = (hex: string): Buffer => Buffer.from(hex, 'hex');
    const okm = hkdfSync('sha256', bytes(ikm), bytes(salt), bytes(info), length);
    expect(Buffer.from(okm).toString('hex')).toBe(expected);
  });
});

describe('a derived secret', () => {
  // Computed by another implementation (Python's hmac), and fixed for ever: another value would make
  // every token in the field invalid at an upgrade.
  it.each([
    ['a user', {}, '5ded09652090184a0364c8cc6be62de5079f0ad506a1d99839f157e9bbb655b1'],
    [
      'the first period',
      { period: 0 },
      '29bd4374c6a988c09d42cf49e4b90f34f254c8ee7ce28fafad82a212c869e73f',
    ],
    [
      'a subject beyond ASCII',
      { subject: 'Zoë|\u0000' },
      '4ffc1aae54a8d29b4722ac1353c9ffb0c82b69c43a162fcf62f7f02afcdf4770',
    ],
    [
      'a subject longer than HKDF takes',
      { subject: 's'.repeat(5000) },
      '46a014aa0dabfea2e26ad38c25c21bf4b2ffd9bde836af4c1dcf1dc324348f5b',
    ],
    [
      'another master',
      { master: Buffer.alloc(64, 7) },
      'ae53fd462cec23a607734364a3af670970a283e5e8193786d94e1d0734b58e27',
    ],
  ])('has a fixed value: %s', (_case, change, expected) => {
    expect(secret(change)).toBe(expected);
  });

  it('is an HS256 key, and the same from bytes as from a key object', () => {
    const derived = deriveSecret(REQUEST);
    expect([derived.type, derived.symmetricKeySize]).toEqual(['secret', 32]);
    expect(secret({ master: createSecretKey(MASTER) })).toBe(secret());
  });

  it.each<[string, Partial<DerivedSecretRequest>, Partial<DerivedSecretRequest>]>([
    ['a border that moves', { issuer: 'a|b', subject: 'c' }, { issuer: 'a', subject: 'b|c' }],
    ['a border without a sign', { issuer: 'ab', subject: 'c' }, { issuer: 'a', subject: 'bc' }],
    ['a NUL', { issuer: 'a\0', subject: 'b' }, { issuer: 'a', subject: '\0b' }],
    ['a length in the text', { subject: '\0\0\0\u0001a' }, { subject: 'a' }],
    ['Unicode forms', { subject: 'é' }, { subject: 'e\u0301' }],
    ['a compatibility form', { subject: 'ﬁ' }, { subject: 'fi' }],
    ['case', { subject: 'Ada' }, { subject: 'ada' }],
    ['white space', { subject: 'ada' }, { subject: 'ada ' }],
    ['issuer and subject swapped', { issuer: 'a', subject: 'b' }, { issuer: 'b', subject: 'a' }],
    ['a period in the subject', { subject: 'a', period: 1 }, { subject: 'a1', period: 0 }],
    ['the next period', { period: 1 }, { period: 2 }],
    ['periods 2^32 apart', { period: 1 }, { period: 2 ** 32 + 1 }],
    ['a master with one more byte', {}, { master: Buffer.concat([MASTER, Buffer.alloc(1)]) }],
  ])('differs by %s', (_case, one, other) => {
    expect(secret(one)).not.toBe(secret(other));
  });

  it('differs for all pairs of owners and masters', () => {
    const text = fc.string({ unit: 'binary', minLength: 1, maxLength: 6 });
    const request = fc.record({
      master: fc.uint8Array({ minLength: 32, maxLength: 40 }),
      issuer: text,
      subject: text,
      period: fc.nat(),
    });
    const name = ({ master, ...owner }: DerivedSecretRequest & { master: Uint8Array }): string =>
      JSON.stringify([Buffer.from(master).toString('hex'), owner]);
    fc.assert(
      fc.property(fc.uniqueArray(request, { selector: name, minLength: 2 }), (requests) => {
        const secrets = requests.map((one) => deriveSecret(one).export().toString('hex'));
        expect(new Set(secrets).size).toBe(requests.length);
      }),
    );
  });

  it.each<[string, string, Partial<DerivedSecretRequest>]>([
    ['a master of 31 bytes', 'ERR_KEY_WEAK', { master: MASTER.subarray(1) }],
    ['an empty master', 'ERR_KEY_WEAK', { master: new Uint8Array() }],
    ['a short key object', 'ERR_KEY_WEAK', { master: createSecretKey(MASTER.subarray(1)) }],
    [
      'a public key as master',
      'ERR_KEY_INVALID',
      { master: generateKeyPairSync('ed25519').publicKey },
    ],
    ['no issuer', 'ERR_KEY_INVALID', { issuer: '' }],
    ['no subject', 'ERR_KEY_INVALID', { subject: '' }],
    ['a lone surrogate', 'ERR_KEY_INVALID', { subject: 'a\ud800' }],
    ['a negative period', 'ERR_KEY_INVALID', { period: -1 }],
    ['a broken period', 'ERR_KEY_INVALID', { period: 1.5 }],
    ['no number as period', 'ERR_KEY_INVALID', { period: Number.NaN }],
    ['a period beyond all time', 'ERR_KEY_INVALID', { period: 1e12 }],
  ])('is refused for %s', (_case, code, change) => {
    expect(codeOf(() => secret(change))).toBe(code);
  });

  it('is never part of an error', () => {
    const master = Buffer.from('f00dface'.repeat(3));
    expect(() => deriveSecret({ ...REQUEST, master })).toThrow(
      /^The secret cannot be derived: its master has fewer than 32 bytes\.$/,
    );
  });
});

describe('periodOf', () => {
  it.each([
    [0, 86_400, 0],
    [86_399, 86_400, 0],
    [86_399.999, 86_400, 0],
    [86_400, 86_400, 1],
    [1_800_000_000, 1, 1_800_000_000],
  ])('%d s in periods of %d s is %d', (iat, length, period) => {
    expect(periodOf(iat, length)).toBe(period);
  });

  it.each([-1, Number.NaN, Number.POSITIVE_INFINITY, 1e300])('refuses an iat of %d', (iat) => {
    expect(codeOf(() => periodOf(iat, 60))).toBe('ERR_KEY_INVALID');
  });

  it.each([0, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY])(
    'refuses a length of %d',
    (length) => {
      expect(() => periodOf(0, length)).toThrow(TypeError);
    },
  );
});

describe('the kid of a derived secret', () => {
  const kid = fc.stringMatching(/^[A-Za-z0-9._:-]{1,115}$/);
  const period = fc.integer({ min: 0, max: 999_999_999_999 });

  it('reads back as it was written, dots in the master kid or not', () => {
    fc.assert(
      fc.property(kid, period, (masterKid, index) => {
        const parts = { masterKid, period: index };
        expect(parseDerivedKid(composeDerivedKid(parts))).toEqual(parts);
      }),
    );
  });

  it('has one spelling: what parses is what would have been written', () => {
    const nearMiss = fc.tuple(kid, fc.stringMatching(/^[0-9.+-]{0,8}$/));
    fc.assert(
      fc.property(nearMiss, ([masterKid, tail]) => {
        const parts = parseDerivedKid(`${masterKid}.${tail}`);
        expect(parts === undefined || composeDerivedKid(parts)).toBe(
          parts === undefined || `${masterKid}.${tail}`,
        );
      }),
    );
  });

  it.each([
    'master',
    '.5',
    'master.',
    'master.05',
    'master.00',
    'master.+5',
    'master.-5',
    'master.5e3',
    'master.0x5',
    'master.5 ',
    'master.5\n',
    'master. 5',
    'master.5.',
    'master.٥',
    'master.1000000000000',
    `${'m'.repeat(127)}.5`,
    '',
    5,
    null,
    undefined,
    ['master.5'],
  ])('is not %j', (value) => {
    expect(parseDerivedKid(value)).toBeUndefined();
  });

  it.each([
    ['an empty master kid', '', 1],
    ['a master kid with a slash', 'a/b', 1],
    ['a composed kid of 129 characters', 'm'.repeat(127), 1],
    ['a broken period', 'm', 0.5],
    ['a negative period', 'm', -1],
    ['a period in another notation', 'm', 1e21],
  ])('is not written for %s', (_case, masterKid, index) => {
    expect(codeOf(() => composeDerivedKid({ masterKid, period: index }))).toBe('ERR_KEY_INVALID');
  });
});

describe('the cache of derived secrets', () => {
  const master = createSecretKey(MASTER);
  const ask = { ...REQUEST, master, masterKid: 'm.1' };
  const bytes = (key: KeyObject): string => key.export().toString('hex');

  it('gives back what it remembered, and the right secret before', () => {
    const cache = new DerivedSecretCache(10);
    const fresh = cache.derive(ask);
    expect(bytes(fresh)).toBe(secret());
    cache.remember(ask, fresh);
    expect(cache.derive(ask)).toBe(fresh);
  });

  it('does not keep what was only asked for', () => {
    const cache = new DerivedSecretCache(10);
    for (let at = 0; at < 100; at++) cache.derive({ ...ask, subject: `made-up-${at}` });
    expect(cache.size).toBe(0);
  });

  it.each([
    ['another period', { period: 1 }],
    ['another subject', { subject: 'user-2' }],
    ['another issuer', { issuer: 'https://other.test' }],
    ['another master under the same kid', { master: createSecretKey(Buffer.alloc(32, 9)) }],
  ])('does not take one secret for that of %s', (_case, change) => {
    const cache = new DerivedSecretCache(10);
    cache.remember(ask, cache.derive(ask));
    const other = { ...ask, ...change };
    expect(bytes(cache.derive(other))).toBe(secret(change));
    expect(bytes(cache.derive(other))).not.toBe(secret());
  });

  it('is bounded in entries and in the length of their names', () => {
    const cache = new DerivedSecretCache(10);
    const keep = (subject: string): void => {
      const request = { ...ask, subject };
      cache.remember(request, cache.derive(request));
    };
    for (let at = 0; at < 100; at++) keep(`user-${at}`);
    expect(cache.size).toBe(10);
    for (let at = 0; at < 100; at++) keep(`${at}`.repeat(500));
    expect(cache.size).toBeLessThan(6);
  });

  it('forgets the secrets of one master and keeps the others', () => {
    const cache = new DerivedSecretCache(10);
    const other = { ...ask, masterKid: 'm.10' };
    for (const request of [ask, { ...ask, period: 1 }, other]) {
      cache.remember(request, cache.derive(request));
    }
    const kept = cache.derive(other);
    cache.forget('m.1');
    expect(cache.size).toBe(1);
    expect(cache.derive(other)).toBe(kept);
  });

  it('refuses a master kid that could pass for another in its index', () => {
    const cache = new DerivedSecretCache(10);
    expect(codeOf(() => cache.derive({ ...ask, masterKid: 'm",' }))).toBe('ERR_KEY_INVALID');
  });
});
