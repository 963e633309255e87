import { generateKeyPairSync, type JsonWebKey } from 'node:crypto';

import * as fc from 'fast-check';
import { importJWK, type JWK } from 'jose';

import { SIGNING_ALGORITHMS, type SigningAlgorithm } from '../../../lib/keys/algorithms.js';
import {
  type JwksDocument,
  JwksDocumentError,
  MAX_JWKS_KEYS,
  readJwksDocument,
} from '../../../lib/keys/remote/jwks-document.js';
import { WYCHEPROOF_ROCA_MODULUS } from '../rsa-moduli.js';

type Jwk = Readonly<Record<string, unknown>>;

const pair = (curve: string): JsonWebKey =>
  generateKeyPairSync('ec', { namedCurve: curve }).privateKey.export({ format: 'jwk' });
const publicOf = ({ d: _d, ...jwk }: JsonWebKey): Jwk => ({ ...jwk });
const rsa = (modulusLength: number): Jwk => ({
  ...generateKeyPairSync('rsa', { modulusLength }).publicKey.export({ format: 'jwk' }),
});

const PRIVATE = pair('P-256');
const EC: Jwk = { ...publicOf(PRIVATE), kid: 'ec', alg: 'ES256', use: 'sig' };
const OTHER: Jwk = { ...publicOf(pair('P-256')), kid: 'other', alg: 'ES256' };
const P384: Jwk = { ...publicOf(pair('P-384')), kid: 'p384', alg: 'ES384' };
const ED: Jwk = {
  ...generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' }),
  kid: 'ed',
  alg: 'EdDSA',
};
const RSA: Jwk = { ...rsa(2048), kid: 'rsa', alg: 'RS256' };
const RSA_PRIVATE = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({
  format: 'jwk',
});

const USUAL: readonly SigningAlgorithm[] = ['ES256', 'RS256', 'EdDSA'];

const bytes = (document: unknown): Buffer => Buffer.from(JSON.stringify(document));
const without = (jwk: Jwk, name: string): Jwk =>
  Object.fromEntries(Object.entries(jwk).filter(([member]) => member !== name));

function read(keys: unknown, algorithms = USUAL): Promise<JwksDocument> {
  return readJwksDocument(bytes({ keys }), algorithms);
}

async function refusal(attempt: Promise<JwksDocument>): Promise<JwksDocumentError> {
  const outcome: unknown = await attempt.catch((error: unknown) => error);
  if (outcome instanceof JwksDocumentError) return outcome;
  throw outcome instanceof Error ? outcome : new Error('the document was accepted');
}

describe('a key is taken', () => {
  it.each<readonly [string, Jwk, readonly SigningAlgorithm[], SigningAlgorithm]>([
    ['that says all there is to say', EC, USUAL, 'ES256'],
    ['without use', without(EC, 'use'), USUAL, 'ES256'],
    ['that may verify', { ...EC, key_ops: ['verify'] }, USUAL, 'ES256'],
    [
      'with members that mean nothing here',
      { ...EC, x5t: 'abc', ext: true, iat: 5 },
      USUAL,
      'ES256',
    ],
    ['of RSA', RSA, USUAL, 'RS256'],
    ['of RSA for PSS', { ...RSA, alg: 'PS256' }, ['PS256'], 'PS256'],
    ['of Edwards curves', ED, USUAL, 'EdDSA'],
    ['of another curve', P384, ['ES384'], 'ES384'],
    ['without alg, where one algorithm fits', without(RSA, 'alg'), USUAL, 'RS256'],
    ['without alg, where its curve decides', without(P384, 'alg'), ['ES256', 'ES384'], 'ES384'],
    [
      'without alg, where one was configured twice',
      without(EC, 'alg'),
      ['ES256', 'ES256'],
      'ES256',
    ],
    ['with a kid in base64', { ...EC, kid: 'Ab+/9=' }, USUAL, 'ES256'],
    ['with the longest kid', { ...EC, kid: 'k'.repeat(128) }, USUAL, 'ES256'],
  ])('%s', async (_what, jwk, algorithms, algorithm) => {
    const { keys, skipped } = await read([jwk], algorithms);
    expect(skipped).toEqual([]);
    expect([...keys.keys()]).toEqual([jwk['kid']]);
    const key = keys.get(String(jwk['kid']));
    expect(key?.kid).toBe(jwk['kid']);
    expect(key?.row.name).toBe(algorithm);
    expect(key?.verifyWith.key.type).toBe('public');
    expect(key?.publicJwk).toMatchObject({ kid: jwk['kid'], alg: algorithm, use: 'sig' });
  });

  it('beside others that are not', async () => {
    const { keys, skipped } = await read([
      EC,
      { ...OTHER, use: 'enc' },
      RSA,
      null,
      { kty: 'EC' },
      5,
    ]);
    expect([...keys.keys()]).toEqual(['ec', 'rsa']);
    expect(skipped).toEqual([
      { kid: 'other', fault: 'other-purpose' },
      { kid: null, fault: 'no-kid' },
      { kid: null, fault: 'not-an-object' },
      { kid: null, fault: 'not-an-object' },
    ]);
  });
});

describe('a key is left out', () => {
  const oversized = { ...RSA, n: Buffer.alloc(1026, 0xff).toString('base64url') };
  const skipped: readonly (readonly [string, unknown, string])[] = [
    ['that is text', 'key', 'not-an-object'],
    ['that is a list', [EC], 'not-an-object'],
    ['without a kid', without(EC, 'kid'), 'no-kid'],
    ['with an empty kid', { ...EC, kid: '' }, 'malformed-kid'],
    ['with a number as kid', { ...EC, kid: 1 }, 'malformed-kid'],
    ['with null as kid', { ...EC, kid: null }, 'malformed-kid'],
    ['with a line break in its kid', { ...EC, kid: 'a\nb' }, 'malformed-kid'],
    ['with a quote in its kid', { ...EC, kid: 'a"b' }, 'malformed-kid'],
    ['with an endless kid', { ...EC, kid: 'k'.repeat(129) }, 'malformed-kid'],
    ['for encryption', { ...EC, use: 'enc' }, 'other-purpose'],
    ['with null as use', { ...EC, use: null }, 'other-purpose'],
    ['with a list as use', { ...EC, use: ['sig'] }, 'other-purpose'],
    ['for signing', { ...EC, key_ops: ['sign'] }, 'other-purpose'],
    ['for signing as well', { ...EC, key_ops: ['sign', 'verify'] }, 'other-purpose'],
    ['for nothing', { ...EC, key_ops: [] }, 'other-purpose'],
    ['with operations as text', { ...EC, key_ops: 'verify' }, 'other-purpose'],
    ['with an operation twice', { ...EC, key_ops: ['verify', 'verify'] }, 'other-purpose'],
    ['of an algorithm not asked for', { ...RSA, alg: 'RS512' }, 'other-algorithm'],
    ['of an algorithm for encryption', { ...RSA, alg: 'RSA-OAEP' }, 'other-algorithm'],
    ['of an algorithm in small letters', { ...EC, alg: 'es256' }, 'other-algorithm'],
    ['of an algorithm with a shared secret', { ...RSA, alg: 'HS256' }, 'other-algorithm'],
    ['of no algorithm', { ...EC, alg: 'none' }, 'other-algorithm'],
    ['with null as algorithm', { ...EC, alg: null }, 'other-algorithm'],
    ['of an algorithm of another type', { ...EC, alg: 'RS256' }, 'unknown-type'],
    ['of a curve of another algorithm', { ...P384, alg: 'ES256' }, 'unknown-type'],
    ['of an unknown type', { ...EC, kty: 'XX' }, 'unknown-type'],
    ['of no type', without(EC, 'kty'), 'unknown-type'],
    ['of a type in small letters', { ...EC, kty: 'ec' }, 'unknown-type'],
    ['of a curve for key agreement', { ...ED, crv: 'X25519' }, 'unknown-type'],
    ['of an unknown curve', { ...EC, crv: 'secp256k1' }, 'unknown-type'],
    ['without a coordinate', without(EC, 'y'), 'unreadable'],
    ['with a coordinate that is a number', { ...EC, y: 5 }, 'unreadable'],
    ['with padding', { ...EC, y: `${String(EC['y'])}=` }, 'unreadable'],
    ['with white space', { ...EC, y: ` ${String(EC['y'])}` }, 'unreadable'],
    ['whose point is on no curve', { ...EC, y: OTHER['y'] }, 'unreadable'],
    ['whose coordinates are zero', { ...EC, x: 'A'.repeat(43), y: 'A'.repeat(43) }, 'unreadable'],
    ['with too few bytes', { ...ED, x: 'AAAA' }, 'unreadable'],
    ['of 1024 bits', { ...rsa(1024), kid: 'k', alg: 'RS256' }, 'weak'],
    ['with the exponent 3', { ...RSA, e: 'Aw' }, 'weak'],
    ['with the ROCA flaw', { ...RSA, n: WYCHEPROOF_ROCA_MODULUS }, 'weak'],
    ['of more than 8192 bits', oversized, 'oversized'],
    ['with an exponent as long as its modulus', { ...RSA, e: RSA['n'] }, 'oversized'],
    ['that is a secret', { kty: 'oct', k: 'AAAA', kid: 'k' }, 'symmetric'],
    ['that is a secret without a kid', { kty: 'oct', k: 'AAAA' }, 'symmetric'],
    ['that is a secret in public clothes', { ...EC, k: 'AAAA' }, 'symmetric'],
    ['of the type of secrets, for encryption', { kty: 'oct', use: 'enc', kid: 'k' }, 'symmetric'],
    ['with its private half', { ...EC, d: PRIVATE.d }, 'private'],
    ['with its private half, for encryption', { ...EC, d: PRIVATE.d, use: 'enc' }, 'private'],
    ['with its private half empty', { ...EC, d: '' }, 'private'],
    ['with its private half null', { ...EC, d: null }, 'private'],
    ['of RSA with everything', { ...RSA_PRIVATE, kid: 'k', alg: 'RS256' }, 'private'],
    ...['p', 'q', 'dp', 'dq', 'qi', 'oth', 'priv'].map(
      (name) => [`with the private member ${name}`, { ...RSA, [name]: 'AQAB' }, 'private'] as const,
    ),
  ];

  it.each(skipped)('%s', async (_what, jwk, fault) => {
    const document = await read([jwk, OTHER]);
    expect([...document.keys.keys()]).toEqual(['other']);
    expect(document.skipped).toEqual([expect.objectContaining({ fault })]);
  });

  it.each<readonly [string, Jwk, readonly SigningAlgorithm[]]>([
    ['two digests', without(RSA, 'alg'), ['RS256', 'RS512', 'ES256']],
    ['two paddings', without(RSA, 'alg'), ['RS256', 'PS256', 'ES256']],
    ['two names of one', without(ED, 'alg'), ['EdDSA', 'Ed25519', 'ES256']],
  ])('without alg, where there is a choice of %s', async (_what, jwk, algorithms) => {
    const document = await read([jwk, EC], algorithms);
    expect([...document.keys.keys()]).toEqual(['ec']);
    expect(document.skipped).toEqual([{ kid: jwk['kid'], fault: 'ambiguous-algorithm' }]);
  });

  it('and named by its kid only if that is fit to be repeated', async () => {
    const document = await read([{ ...EC, kid: 'a b', use: 'enc' }, { ...RSA, use: 'enc' }, OTHER]);
    expect(document.skipped.map(({ kid }) => kid)).toEqual([null, 'rsa']);
  });
});

describe('a document is refused', () => {
  const text = JSON.stringify(EC);
  it.each([
    ['that is empty', '', 'not-strict-json'],
    ['that is not JSON', '<html>', 'not-strict-json'],
    ['that is cut off', `{"keys":[${text}`, 'not-strict-json'],
    ['with something after it', `{"keys":[${text}]}x`, 'not-strict-json'],
    ['that starts with a byte order mark', `\ufeff{"keys":[${text}]}`, 'not-strict-json'],
    ['that is a list', `[${text}]`, 'not-strict-json'],
    ['with keys twice', `{"keys":[],"keys":[${text}]}`, 'not-strict-json'],
    ['with keys twice, once escaped', `{"keys":[],"\\u006beys":[${text}]}`, 'not-strict-json'],
    [
      'with a member of a key twice',
      `{"keys":[${text.replace('{', '{"kid":"x",')}]}`,
      'not-strict-json',
    ],
    ['with a prototype', `{"__proto__":{"keys":[${text}]}}`, 'not-strict-json'],
    ['that is nested deeply', `{"keys":${'['.repeat(50)}${']'.repeat(50)}}`, 'not-strict-json'],
    ['without keys', '{}', 'no-key-array'],
    ['that is a key', text, 'no-key-array'],
    ['with keys that are no list', `{"keys":{"0":${text}}}`, 'no-key-array'],
    ['with keys of null', '{"keys":null}', 'no-key-array'],
    ['with no key', '{"keys":[]}', 'no-usable-key'],
    [
      'with no key that can be used',
      '{"keys":[{"kty":"oct","k":"AA","kid":"a"}]}',
      'no-usable-key',
    ],
  ])('%s', async (_what, body, fault) => {
    expect((await refusal(readJwksDocument(Buffer.from(body), USUAL))).fault).toBe(fault);
  });

  it('in another encoding', async () => {
    const utf16 = Buffer.from(`{"keys":[${text}]}`, 'utf16le');
    expect((await refusal(readJwksDocument(utf16, USUAL))).fault).toBe('not-strict-json');
  });

  it('with more keys than anybody needs, usable or not', async () => {
    const many = Array.from({ length: MAX_JWKS_KEYS }, (_, index) => ({ ...EC, kid: `k${index}` }));
    expect((await read(many)).keys.size).toBe(MAX_JWKS_KEYS);
    expect((await refusal(read([...many, OTHER]))).fault).toBe('too-many-keys');
    expect((await refusal(read([...many, null]))).fault).toBe('too-many-keys');
  });

  it.each([
    ['two keys', [EC, { ...OTHER, kid: 'ec' }]],
    ['the same key twice', [EC, EC]],
    ['a key and one that is left out', [EC, { ...RSA, kid: 'ec', use: 'enc' }]],
    ['two keys that are left out', [OTHER, { kid: 'a' }, { kid: 'a' }]],
  ])('with one kid for %s', async (_what, keys) => {
    expect((await refusal(read(keys))).fault).toBe('duplicate-kid');
  });

  it('and tells which keys it left out', async () => {
    const { skipped } = await refusal(read([{ ...EC, d: PRIVATE.d }]));
    expect(skipped).toEqual([{ kid: 'ec', fault: 'private' }]);
  });

  it('with an error that repeats nothing of it', async () => {
    const error = await refusal(readJwksDocument(Buffer.from('{"keys":"5ecret"}'), USUAL));
    expect(error.message).toBe('The JWKS cannot be used (no-key-array).');
  });
});

describe('whatever key is taken', () => {
  const member = fc.constantFrom('kty', 'crv', 'alg', 'use', 'key_ops', 'x', 'y', 'n', 'e', 'kid');
  const value = fc.oneof(
    fc.constantFrom<unknown>(...SIGNING_ALGORITHMS, 'EC', 'RSA', 'OKP', 'AKP', 'oct'),
    fc.constantFrom<unknown>('P-256', 'P-384', 'P-521', 'Ed25519', 'X25519', 'sig', 'enc'),
    fc.constantFrom<unknown>(EC['x'], EC['y'], RSA['n'], RSA['e'], ED['x'], P384['x'], P384['y']),
    fc.constantFrom<unknown>(['verify'], ['sign', 'verify'], ['verify', 'x'], [], null, 5, ''),
    fc.string(),
  );
  const change = fc.record({ name: member, value, removes: fc.boolean() });

  it('is a key for jose too, with the algorithm we found', async () => {
    let taken = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(EC, P384, ED, RSA),
        fc.array(change, { maxLength: 3 }),
        fc.subarray([...SIGNING_ALGORITHMS], { minLength: 1 }),
        async (jwk, changes, algorithms) => {
          const hostile = changes.reduce<Jwk>(
            (before, { name, value, removes }) =>
              removes ? without(before, name) : { ...before, [name]: value },
            jwk,
          );
          const document = await read([hostile], algorithms).catch((error: unknown) => {
            if (error instanceof JwksDocumentError) return undefined;
            throw error;
          });
          for (const key of document?.keys.values() ?? []) {
            taken++;
            expect(algorithms).toContain(key.row.name);
            await expect(importJWK(hostile as JWK, key.row.name)).resolves.toMatchObject({
              type: 'public',
            });
            await expect(importJWK(key.publicJwk as JWK)).resolves.toBeDefined();
          }
        },
      ),
      { numRuns: 3_000 },
    );
    // Else the property said nothing.
    expect(taken).toBeGreaterThan(100);
  });
});
