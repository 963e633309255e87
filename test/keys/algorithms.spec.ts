import { constants, sign } from 'node:crypto';

import { CompactSign, compactVerify, importJWK, type JWK } from 'jose';

import {
  type AlgorithmRow,
  algorithmRow,
  ASYMMETRIC_ALGORITHMS,
  findAlgorithm,
  SIGNING_ALGORITHMS,
  type SigningAlgorithm,
} from '../../lib/keys/algorithms.js';
import {
  exportPrivateJwk,
  generateSigningKey,
  type HeldSigningKey,
  importSigningKey,
  isAvailable,
  type VerificationKey,
} from '../../lib/keys/key-material.js';
import { createSignature, SignatureVerifier } from '../../lib/keys/signature.js';

const INPUT = Buffer.from('header.payload');

function verifies(
  key: VerificationKey,
  signature: Buffer,
  input = INPUT,
): boolean | Promise<boolean> {
  return new SignatureVerifier().verify({ key, input, signature });
}

/** Keys are made once: an RSA key pair takes the longer part of a second. */
const made = new Map<SigningAlgorithm, Promise<HeldSigningKey>>();
function keyFor(algorithm: SigningAlgorithm): Promise<HeldSigningKey> {
  const key = made.get(algorithm) ?? generateSigningKey(algorithm);
  made.set(algorithm, key);
  return key;
}

/** RFC 7518 §3.1 and §6, RFC 8037 §3.1, RFC 9864 §2.2, FIPS 204 §4, written down a second time. */
const FACTS: readonly (readonly [
  name: SigningAlgorithm,
  kty: AlgorithmRow['kty'],
  crv: string | undefined,
  digest: string | null,
  signatureBytes: number,
])[] = [
  ['ES256', 'EC', 'P-256', 'sha256', 64],
  ['ES384', 'EC', 'P-384', 'sha384', 96],
  ['ES512', 'EC', 'P-521', 'sha512', 132],
  ['Ed25519', 'OKP', 'Ed25519', null, 64],
  ['EdDSA', 'OKP', 'Ed25519', null, 64],
  ['RS256', 'RSA', undefined, 'sha256', 384],
  ['RS384', 'RSA', undefined, 'sha384', 384],
  ['RS512', 'RSA', undefined, 'sha512', 384],
  ['PS256', 'RSA', undefined, 'sha256', 384],
  ['PS384', 'RSA', undefined, 'sha384', 384],
  ['PS512', 'RSA', undefined, 'sha512', 384],
  ['ML-DSA-44', 'AKP', undefined, null, 2420],
  ['ML-DSA-65', 'AKP', undefined, null, 3309],
  ['ML-DSA-87', 'AKP', undefined, null, 4627],
  ['HS256', 'oct', undefined, 'sha256', 32],
];

it('the table offers these algorithms, in this order, and one of them is symmetric', () => {
  const names = FACTS.map(([name]) => name);
  expect(SIGNING_ALGORITHMS).toEqual(names);
  expect(ASYMMETRIC_ALGORITHMS).toEqual(names.filter((name) => name !== 'HS256'));
  expect(SIGNING_ALGORITHMS.filter((name) => algorithmRow(name).symmetric)).toEqual(['HS256']);
});

it.each(FACTS)('%s has the facts of its standard', (name, kty, crv, digest, signatureBytes) => {
  const row = algorithmRow(name);
  expect(row).toMatchObject({ name, kty, digest, symmetric: kty === 'oct' });
  expect(row.crv).toBe(crv);
  expect([signatureBytes, 'modulus']).toContain(row.signatureLength);
  expect(findAlgorithm(name)).toBe(row);
  // A member that is secret must never be on the list of those that are published.
  expect(row.publicMembers.filter((member) => row.privateMembers.includes(member))).toEqual([]);
});

const pairs = FACTS.filter(([name]) => name !== 'HS256' && isAvailable(name));

describe.each(pairs)('%s', (name, kty, _crv, _digest, signatureBytes) => {
  it('generates a key that signs, verifies and names itself', async () => {
    const key = await keyFor(name);
    const signature = await createSignature(key.row, key.privateKey, INPUT);
    expect(signature).toHaveLength(signatureBytes);
    expect(key.signatureLength).toBe(signatureBytes);
    expect(await verifies(key, signature)).toBe(true);
    expect(key.publicJwk).toMatchObject({ kty, alg: name, use: 'sig', kid: key.kid });
  });

  it('refuses another input, another signature and another key', async () => {
    const key = await keyFor(name);
    const other = await keyFor(name === 'ES256' ? 'ES384' : 'ES256');
    const signature = await createSignature(key.row, key.privateKey, INPUT);
    const flipped = Buffer.from(signature);
    flipped.writeUInt8(flipped.readUInt8(7) ^ 1, 7);
    expect(await verifies(key, signature, Buffer.from('header.payloae'))).toBe(false);
    expect(await verifies(key, flipped)).toBe(false);
    expect(await verifies(key, signature.subarray(1))).toBe(false);
    expect(await verifies(key, Buffer.concat([signature, Buffer.alloc(1)]))).toBe(false);
    expect(await verifies(key, Buffer.alloc(0))).toBe(false);
    expect(await verifies(key, Buffer.alloc(signatureBytes))).toBe(false);
    expect(await verifies(other, signature)).toBe(false);
  });

  it('signs what jose verifies', async () => {
    const key = await keyFor(name);
    const header = Buffer.from(JSON.stringify({ alg: name })).toString('base64url');
    const input = `${header}.${Buffer.from('ours').toString('base64url')}`;
    const signature = await createSignature(key.row, key.privateKey, Buffer.from(input));
    const publicKey = await importJWK(key.publicJwk as JWK, name);
    const jws = `${input}.${signature.toString('base64url')}`;
    const { payload } = await compactVerify(jws, publicKey, { algorithms: [name] });
    expect(Buffer.from(payload).toString()).toBe('ours');
  });

  it('verifies what jose signs, with the key it exported', async () => {
    const key = await keyFor(name);
    const privateKey = await importJWK(exportPrivateJwk(key) as JWK, name);
    const jws = await new CompactSign(Buffer.from('theirs'))
      .setProtectedHeader({ alg: name })
      .sign(privateKey);
    const [header, payload, signature] = jws.split('.');
    const bytes = Buffer.from(signature ?? '', 'base64url');
    expect(await verifies(key, bytes, Buffer.from(`${header}.${payload}`))).toBe(true);
  });

  it('exports a private JWK of its own members only, which imports as the same key', async () => {
    const key = await keyFor(name);
    const jwk = exportPrivateJwk(key);
    const { publicMembers, privateMembers } = key.row;
    expect(new Set(Object.keys(jwk))).toEqual(
      new Set([...publicMembers, ...privateMembers, 'alg', 'use', 'kid']),
    );
    const again = await importSigningKey(jwk);
    expect(again.kid).toBe(key.kid);
    expect(again.privateKey.equals(key.privateKey)).toBe(true);
  });
});

describe('HS256', () => {
  it('generates a secret of 32 bytes whose public half is its name alone', async () => {
    const key = await keyFor('HS256');
    expect(key.privateKey.symmetricKeySize).toBe(32);
    expect(key.publicJwk).toEqual({ kty: 'oct', kid: key.kid, alg: 'HS256', use: 'sig' });
    // Not a thumbprint: that would be a digest of the secret, for everyone to guess at.
    const again = await importSigningKey({ ...exportPrivateJwk(key), kid: 'renamed' });
    expect(again.kid).toBe('renamed');
    expect(again.privateKey.equals(key.privateKey)).toBe(true);
  });

  it('signs and verifies as jose does, both ways', async () => {
    const key = await keyFor('HS256');
    const secret = await importJWK(exportPrivateJwk(key) as JWK, 'HS256');
    const header = Buffer.from('{"alg":"HS256"}').toString('base64url');
    const input = `${header}.${Buffer.from('ours').toString('base64url')}`;
    const signature = Buffer.from(await key.sign(Buffer.from(input)));
    expect(signature).toHaveLength(32);
    const jws = `${input}.${signature.toString('base64url')}`;
    await expect(compactVerify(jws, secret, { algorithms: ['HS256'] })).resolves.toBeDefined();
    const theirs = await new CompactSign(Buffer.from('theirs'))
      .setProtectedHeader({ alg: 'HS256' })
      .sign(secret);
    const at = theirs.lastIndexOf('.');
    const bytes = Buffer.from(theirs.slice(at + 1), 'base64url');
    expect(await verifies(key, bytes, Buffer.from(theirs.slice(0, at)))).toBe(true);
  });

  it('refuses another input, another secret and every other length', async () => {
    const key = await keyFor('HS256');
    const signature = Buffer.from(await key.sign(INPUT));
    expect(await verifies(key, signature)).toBe(true);
    expect(await verifies(await generateSigningKey('HS256'), signature)).toBe(false);
    expect(await verifies(key, signature, Buffer.from('header.payloae'))).toBe(false);
    for (const length of [0, 1, 16, 31]) {
      expect(await verifies(key, signature.subarray(0, length))).toBe(false);
    }
    expect(await verifies(key, Buffer.concat([signature, Buffer.alloc(1)]))).toBe(false);
    expect(await verifies(key, Buffer.alloc(32))).toBe(false);
  });
});

describe('findAlgorithm', () => {
  it.each([
    ['no algorithm', 'none'],
    ['no algorithm in capitals', 'NONE'],
    ['another digest of a shared secret', 'HS512'],
    ['a truncated shared secret', 'HS256/64'],
    ['lower case (RFC 7515 §4.1.1: case-sensitive)', 'es256'],
    ['a trailing space', 'ES256 '],
    ['a trailing NUL', 'ES256\u0000'],
    ['another curve', 'ES256K'],
    ['another Edwards curve', 'Ed448'],
    ['an encryption algorithm', 'RSA-OAEP'],
    ['a SHA-1 signature', 'RS1'],
    ['a name Wycheproof once used', 'ES521'],
    ['the empty name', ''],
    ['a member of Object.prototype', 'constructor'],
    ['the prototype', '__proto__'],
    ['a boxed name', Object('ES256')],
    ['a list of one name', ['ES256']],
    ['an object that reads as a name', { toString: () => 'ES256' }],
    ['a symbol', Symbol('ES256')],
    ['null', null],
    ['undefined', undefined],
    ['a number', 256],
  ])('does not find %s', (_rule, name: unknown) => {
    expect(findAlgorithm(name)).toBeUndefined();
  });

  it('has a twin for callers that know the name, which throws for programmers', () => {
    expect(() => algorithmRow('none' as SigningAlgorithm)).toThrow(TypeError);
  });
});

describe('one key, one algorithm: nothing else verifies with the parameters of a row', () => {
  const RSA = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'] as const;
  const rsaPairs = RSA.flatMap((signer) =>
    RSA.filter((verifier) => verifier !== signer).map((verifier) => [signer, verifier] as const),
  );

  it.each(rsaPairs)('a signature by %s is none of %s, with one modulus', async (...names) => {
    const [signer, verifier] = names;
    const key = await keyFor('RS256');
    const signature = await createSignature(algorithmRow(signer), key.privateKey, INPUT);
    const row = algorithmRow(verifier);
    const verifyWith = { key: key.verifyWith.key, ...row.parameters };
    expect(await verifies({ ...key, row, verifyWith }, signature)).toBe(false);
  });

  it.each([
    ['PS256', 0],
    ['PS256', 20],
    ['PS384', 32],
    ['PS512', 32],
    ['PS256', constants.RSA_PSS_SALTLEN_MAX_SIGN],
  ] as const)('%s with a salt of %d bytes is refused (RFC 7518 §3.5)', async (name, saltLength) => {
    const { row, privateKey, verifyWith } = await keyFor(name);
    const padding = constants.RSA_PKCS1_PSS_PADDING;
    const signature = sign(row.digest, INPUT, { key: privateKey, padding, saltLength });
    expect(await verifies({ ...(await keyFor(name)), verifyWith }, signature)).toBe(false);
  });

  it.each(['ES256', 'ES384', 'ES512'] as const)(
    '%s in DER, as TLS writes it, is refused (RFC 7518 §3.4)',
    async (name) => {
      const key = await keyFor(name);
      const der = sign(key.row.digest, INPUT, key.privateKey);
      expect(await verifies(key, der)).toBe(false);
    },
  );

  it.each([
    ['ES256', 'sha384'],
    ['ES384', 'sha256'],
    ['ES512', 'sha256'],
  ] as const)('%s with %s is refused', async (name, digest) => {
    const key = await keyFor(name);
    const signature = sign(digest, INPUT, { key: key.privateKey, dsaEncoding: 'ieee-p1363' });
    expect(await verifies(key, signature)).toBe(false);
  });
});
