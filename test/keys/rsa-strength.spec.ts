import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';

import { KeyError } from '../../lib/kernel/errors.js';
import { assertStrongRsa } from '../../lib/keys/rsa-strength.js';
import {
  base64urlUInt,
  randomModulus,
  rocaModulus,
  WYCHEPROOF_ROCA_MODULUS,
} from './rsa-moduli.js';

const F4 = 65537n;

function publicKey(n: bigint | string, e: bigint = F4): KeyObject {
  const modulus = typeof n === 'string' ? n : base64urlUInt(n);
  return createPublicKey({
    key: { kty: 'RSA', n: modulus, e: base64urlUInt(e) },
    format: 'jwk',
  });
}

function refusal(key: KeyObject): KeyError | undefined {
  try {
    assertStrongRsa(key);
    return undefined;
  } catch (error) {
    if (error instanceof KeyError) return error;
    throw error;
  }
}

const good = randomModulus(2048);

describe('assertStrongRsa accepts (RFC 7518 §3.3, SEMANTICS 2)', () => {
  it.each([
    ['2048 bits', publicKey(good)],
    ['3072 bits', publicKey(randomModulus(3072))],
    ['a number of bits that is no multiple of 8', publicKey(randomModulus(2051))],
    ['the next odd exponent after 65537', publicKey(good, 65539n)],
    ['a large exponent', publicKey(good, (1n << 33n) + 1n)],
    ['a generated key', generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey],
  ])('%s', (_rule, key) => {
    expect(refusal(key)).toBeUndefined();
  });
});

describe('assertStrongRsa refuses', () => {
  it.each([
    ['512 bits', publicKey(randomModulus(512)), /2048 bits/],
    ['1024 bits', publicKey(randomModulus(1024)), /2048 bits/],
    ['2047 bits', publicKey(randomModulus(2047)), /2048 bits/],
    ['1024 bits that claim 2048 by zeros in front', paddedModulus(), /2048 bits/],
    ['an exponent of 1: the signature is the message', publicKey(good, 1n), /exponent/],
    ['an exponent of 3', publicKey(good, 3n), /exponent/],
    ['an exponent of 17', publicKey(good, 17n), /exponent/],
    ['the last exponent below 65537', publicKey(good, 65535n), /exponent/],
    ['an even exponent', publicKey(good, 65538n), /exponent/],
    ['a large even exponent', publicKey(good, 1n << 32n), /exponent/],
    ['the ROCA key of Wycheproof', publicKey(WYCHEPROOF_ROCA_MODULUS), /ROCA/],
  ])('%s', (_rule, key, reason) => {
    const error = refusal(key);
    expect(error?.code).toBe('ERR_KEY_WEAK');
    expect(error?.message).toMatch(reason);
  });

  it('every modulus made as the flawed library made them (CVE-2017-15361)', () => {
    const moduli = Array.from({ length: 50 }, rocaModulus);
    expect(moduli.filter((modulus) => refusal(publicKey(modulus)) === undefined)).toEqual([]);
  });

  it('no modulus that is merely next to a flawed one, nor any of 300 random ones', () => {
    const neighbours = Array.from({ length: 50 }, () => rocaModulus() + 2n);
    const random = Array.from({ length: 300 }, () => randomModulus(2048));
    const refused = [...neighbours, ...random].filter((n) => refusal(publicKey(n)) !== undefined);
    expect(refused).toEqual([]);
  });
});

function paddedModulus(): KeyObject {
  const bytes = Buffer.from(base64urlUInt(randomModulus(1024)), 'base64url');
  return publicKey(Buffer.concat([Buffer.alloc(128), bytes]).toString('base64url'));
}
