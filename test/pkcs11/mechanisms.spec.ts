import { createHash, generateKeyPairSync } from 'node:crypto';
import { endianness } from 'node:os';

import { algorithmRow, type SigningAlgorithm } from '../../lib/keys/algorithms.js';
import { type KeyMechanisms, mechanismList, mechanismsOf } from '../../lib/pkcs11/mechanisms.js';

const PSS = 5;
const INPUT = Buffer.from('some text');

function mechanisms(name: SigningAlgorithm): KeyMechanisms {
  const found = mechanismsOf(algorithmRow(name), PSS);
  if (found === undefined) throw new Error(`${name} has no mechanisms`);
  return found;
}

describe('the mechanisms of an algorithm', () => {
  // PKCS#11 2.40, current mechanisms, §2.1 and §2.3; 3.0 §2.3.
  it.each([
    ['ES256', 0x1040, { mechanism: 0x1041 }],
    ['ES384', 0x1040, { mechanism: 0x1041 }],
    ['ES512', 0x1040, { mechanism: 0x1041 }],
    ['Ed25519', 0x1055, { mechanism: 0x1057 }],
    ['EdDSA', 0x1055, { mechanism: 0x1057 }],
    ['RS256', 0x0, { mechanism: 0x40 }],
    ['RS384', 0x0, { mechanism: 0x41 }],
    ['RS512', 0x0, { mechanism: 0x42 }],
    [
      'PS256',
      0x0,
      { mechanism: 0x43, parameter: { type: PSS, hashAlg: 0x250, mgf: 2, saltLen: 32 } },
    ],
    [
      'PS384',
      0x0,
      { mechanism: 0x44, parameter: { type: PSS, hashAlg: 0x260, mgf: 3, saltLen: 48 } },
    ],
    [
      'PS512',
      0x0,
      { mechanism: 0x45, parameter: { type: PSS, hashAlg: 0x270, mgf: 4, saltLen: 64 } },
    ],
  ] as const)('%s', (name, generate, sign) => {
    expect(mechanisms(name)).toMatchObject({ generate: { mechanism: generate }, sign });
  });

  it.each(['ML-DSA-44', 'ML-DSA-65', 'ML-DSA-87', 'HS256'] as const)('%s: none', (name) => {
    expect(mechanismsOf(algorithmRow(name), PSS)).toBeUndefined();
  });

  it.each([
    ['ES256', createHash('sha256').update(INPUT).digest()],
    ['ES384', createHash('sha384').update(INPUT).digest()],
    ['ES512', createHash('sha512').update(INPUT).digest()],
    ['Ed25519', INPUT],
    ['RS256', INPUT],
    ['PS512', INPUT],
  ] as const)('give the token of the input what %s wants', (name, data) => {
    expect(mechanisms(name).toData(INPUT)).toEqual(data);
  });

  it('are listed in numbers of this machine', () => {
    const long = mechanismList([0x1041, 0x43], 8);
    expect(long).toHaveLength(16);
    const read = (at: number): bigint =>
      endianness() === 'LE' ? long.readBigUInt64LE(at) : long.readBigUInt64BE(at);
    expect([read(0), read(8)]).toEqual([0x1041n, 0x43n]);
    expect(mechanismList([0x1041], 4)).toHaveLength(4);
  });
});

describe('a public key', () => {
  it.each([
    ['ES256', 'P-256'],
    ['ES384', 'P-384'],
    ['ES512', 'P-521'],
  ] as const)('of %s is read in an OCTET STRING and bare', (name, crv) => {
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: crv });
    const { x = '', y = '' } = publicKey.export({ format: 'jwk' });
    const point = Buffer.concat([
      Buffer.from([4]),
      Buffer.from(x, 'base64url'),
      Buffer.from(y, 'base64url'),
    ]);
    const { toJwk } = mechanisms(name);
    const header = point.length < 128 ? [4, point.length] : [4, 0x81, point.length];
    expect(toJwk([point])).toEqual({ kty: 'EC', crv, x, y });
    expect(toJwk([Buffer.concat([Buffer.from(header), point])])).toEqual({ kty: 'EC', crv, x, y });
  });

  it('of Ed25519 is read in an OCTET STRING and bare', () => {
    const { publicKey } = generateKeyPairSync('ed25519');
    const { x = '' } = publicKey.export({ format: 'jwk' });
    const point = Buffer.from(x, 'base64url');
    const { toJwk } = mechanisms('EdDSA');
    const jwk = { kty: 'OKP', crv: 'Ed25519', x };
    expect(toJwk([point])).toEqual(jwk);
    expect(toJwk([Buffer.concat([Buffer.from([4, 32]), point])])).toEqual(jwk);
  });

  it('of RSA is read without leading zeros', () => {
    const { toJwk } = mechanisms('RS256');
    const jwk = { kty: 'RSA', n: Buffer.from([9, 0, 8]).toString('base64url'), e: 'AQAB' };
    expect(toJwk([Buffer.from([0, 0, 9, 0, 8]), Buffer.from([0, 1, 0, 1])])).toEqual(jwk);
  });

  it.each<[string, SigningAlgorithm, readonly Buffer[]]>([
    ['nothing', 'ES256', []],
    ['an empty point', 'ES256', [Buffer.alloc(0)]],
    ['a compressed point', 'ES256', [Buffer.concat([Buffer.from([2]), Buffer.alloc(32)])]],
    ['a point marked otherwise', 'ES256', [Buffer.alloc(65, 6)]],
    ['a point of another curve', 'ES256', [Buffer.alloc(97, 4)]],
    ['another DER type', 'ES256', [Buffer.concat([Buffer.from([3, 65]), Buffer.alloc(65, 4)])]],
    [
      'a DER length that is not',
      'ES256',
      [Buffer.concat([Buffer.from([4, 64]), Buffer.alloc(65, 4)])],
    ],
    ['a point with more behind it', 'EdDSA', [Buffer.alloc(35, 4)]],
    ['half an RSA key', 'RS256', [Buffer.from([9])]],
  ])('is not read from %s', (_, name, values) => {
    expect(mechanisms(name).toJwk(values)).toBeUndefined();
  });
});
