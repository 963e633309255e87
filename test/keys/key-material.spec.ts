import { generateKeyPairSync, type JsonWebKey, type KeyObject } from 'node:crypto';
import { rootCertificates } from 'node:tls';
import { inspect } from 'node:util';

import { calculateJwkThumbprint, type JWK } from 'jose';

import { KeyError } from '../../lib/kernel/errors.js';
import {
  exportPrivateJwk,
  generateSigningKey,
  importSigningKey,
  importVerificationKey,
  isKid,
  type PemSigningKey,
  type PrivateJwk,
  type VerificationKey,
} from '../../lib/keys/key-material.js';
import { createSignature, SignatureVerifier } from '../../lib/keys/signature.js';
import { newPrivateJwk } from '../support/token-mother.js';
import { base64urlUInt, WYCHEPROOF_ROCA_MODULUS } from './rsa-moduli.js';

type Source = PrivateJwk | PemSigningKey;

async function refusal(attempt: Promise<VerificationKey>): Promise<KeyError> {
  const outcome: unknown = await attempt.catch((error: unknown) => error);
  if (outcome instanceof KeyError) return outcome;
  throw outcome instanceof Error ? outcome : new Error('the key was accepted');
}

/** Every text of a key that could give it away: members of a JWK, lines of a PEM. */
function secretsOf(source: object): string[] {
  return Object.entries(source)
    .filter(([name]) => !['alg', 'kty', 'crv', 'use', 'algorithm'].includes(name))
    .flatMap(([, value]) => (typeof value === 'string' ? value.split(/\s+/) : []))
    .filter((text) => text.length >= 8 && !text.includes('-----'));
}

/** The whole error as a debugger would print it, causes and stacks included. */
function everythingSaidBy(error: KeyError): string {
  return inspect(error, { depth: 20, showHidden: true }) + String(error.stack);
}

function expectSilence(error: KeyError, source: object): void {
  const said = everythingSaidBy(error);
  expect(secretsOf(source).filter((secret) => said.includes(secret))).toEqual([]);
}

const jwkOf = (key: KeyObject): JsonWebKey => key.export({ format: 'jwk' });
const rsaPair = (modulusLength: number, publicExponent = 65537): JsonWebKey =>
  jwkOf(generateKeyPairSync('rsa', { modulusLength, publicExponent }).privateKey);

const okp = (type: 'ed25519' | 'x25519' | 'ed448'): JsonWebKey =>
  // One overload per type: the union fits none of them.
  jwkOf(
    type === 'ed25519'
      ? generateKeyPairSync('ed25519').privateKey
      : type === 'ed448'
        ? generateKeyPairSync('ed448').privateKey
        : generateKeyPairSync('x25519').privateKey,
  );
const ec = (namedCurve: string): JsonWebKey =>
  jwkOf(generateKeyPairSync('ec', { namedCurve }).privateKey);

const P256 = { ...ec('P-256'), kty: 'EC', alg: 'ES256' };
const OTHER_P256 = ec('P-256');
const ED25519 = { ...okp('ed25519'), kty: 'OKP', alg: 'Ed25519' };
const RSA2048 = { ...rsaPair(2048), kty: 'RSA', alg: 'RS256' };
const OTHER_RSA2048 = rsaPair(2048);

/** The number of points of P-256 (SEC 2, §2.4.2): a private key is smaller. */
const P256_ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

const without = (jwk: PrivateJwk, ...names: string[]): PrivateJwk => ({
  kty: jwk.kty,
  ...Object.fromEntries(Object.entries(jwk).filter(([name]) => !names.includes(name))),
});

/** What is read as given: types cannot stop what comes from a file or a variable. */
const raw = (jwk: Record<string, unknown>): PrivateJwk => jwk as PrivateJwk;

const WRONG_FOR_BOTH: readonly (readonly [rule: string, jwk: PrivateJwk, reason: RegExp])[] = [
  ['no alg', without(P256, 'alg'), /names no alg/],
  ['an alg that is not on offer', { ...P256, alg: 'HS512' }, /not on offer/],
  ['the alg of a shared secret', { ...P256, alg: 'HS256' }, /kty or crv/],
  ['alg none', { ...P256, alg: 'none' }, /not on offer/],
  ['an alg in lower case', { ...P256, alg: 'es256' }, /not on offer/],
  [
    'an alg named like a member of Object.prototype',
    { ...P256, alg: 'constructor' },
    /not on offer/,
  ],
  ['an alg that is not a text', raw({ ...P256, alg: ['ES256'] }), /not on offer/],
  ['the alg of another key type', { ...P256, alg: 'RS256' }, /kty or crv/],
  ['the alg of another curve', { ...P256, alg: 'ES384' }, /kty or crv/],
  ['the alg of another Edwards curve', { ...ED25519, alg: 'ES256' }, /kty or crv/],
  ['an RSA alg on an Edwards key', { ...ED25519, alg: 'PS256' }, /kty or crv/],
  ['an ECDSA alg on an RSA key', { ...RSA2048, alg: 'ES256' }, /kty or crv/],
  ['a curve that is not that of the point', { ...P256, crv: 'P-384', alg: 'ES384' }, /be read/],
  ['a curve that is not that of alg', { ...P256, crv: 'P-384' }, /kty or crv/],
  ['a curve bitcoin likes', { ...ec('secp256k1'), kty: 'EC', alg: 'ES256' }, /kty or crv/],
  ['a curve for key agreement', { ...okp('x25519'), kty: 'OKP', alg: 'EdDSA' }, /kty or crv/],
  ['Ed448, which is not on offer', { ...okp('ed448'), kty: 'OKP', alg: 'EdDSA' }, /kty or crv/],
  ['no curve', without(P256, 'crv'), /kty or crv/],
  ['a kty in lower case', { ...P256, kty: 'ec' }, /kty or crv/],
  ['a shared secret', { kty: 'oct', k: 'c2VjcmV0LXNlY3JldC1zZWNyZXQ', alg: 'ES256' }, /kty or crv/],
  ['a use for encryption (RFC 7517 §4.2)', { ...P256, use: 'enc' }, /use is not "sig"/],
  ['an empty use', { ...P256, use: '' }, /use is not "sig"/],
  ['a use in capitals', { ...P256, use: 'SIG' }, /use is not "sig"/],
  ['a use that is a list', raw({ ...P256, use: ['sig'] }), /use is not "sig"/],
  ['a use that is null', raw({ ...P256, use: null }), /use is not "sig"/],
  ['no key_ops left (RFC 7517 §4.3)', { ...P256, key_ops: [] }, /key_ops/],
  ['key_ops for encryption', { ...P256, key_ops: ['encrypt', 'decrypt'] }, /key_ops/],
  ['key_ops that is a text', raw({ ...P256, key_ops: 'sign verify' }), /key_ops/],
  ['key_ops that is an object', raw({ ...P256, key_ops: { 0: 'sign', 1: 'verify' } }), /key_ops/],
  ['key_ops that is null', raw({ ...P256, key_ops: null }), /key_ops/],
  ['no x', without(P256, 'x'), /be read/],
  ['no y', without(P256, 'y'), /be read/],
  ['an x that is a number', raw({ ...P256, x: 12345678 }), /be read/],
  ['an empty x', { ...P256, x: '' }, /be read/],
  ['an x that is no base64url', { ...P256, x: '!'.repeat(43) }, /be read/],
  ['a point off the curve', { ...P256, x: OTHER_P256.x ?? '' }, /be read/],
  ['the point (0, 0)', { ...P256, x: 'A'.repeat(43), y: 'A'.repeat(43) }, /be read/],
  ['an x that is too long', { ...P256, x: `${P256.x}AAAA` }, /be read/],
  ['no x of an Edwards key', without(ED25519, 'x'), /be read/],
  ['an x of an Edwards key that is too short', { ...ED25519, x: 'AAAA' }, /be read/],
  ['no modulus', without(RSA2048, 'n'), /be read/],
  ['no exponent', without(RSA2048, 'e'), /be read/],
  ['an RSA key of 1024 bits', { ...rsaPair(1024), kty: 'RSA', alg: 'RS256' }, /2048 bits/],
  ['an exponent of 3', { ...rsaPair(2048, 3), kty: 'RSA', alg: 'PS256' }, /exponent/],
  ['an exponent of 1', { ...RSA2048, e: 'AQ' }, /exponent/],
  ['an even exponent', { ...RSA2048, e: 'AQAC' }, /exponent/],
  ['a ROCA modulus', { ...RSA2048, n: WYCHEPROOF_ROCA_MODULUS }, /ROCA/],
];

describe('a JWK is refused, to sign and to verify, for', () => {
  it.each(WRONG_FOR_BOTH)('%s', async (_rule, jwk, reason) => {
    for (const read of [importSigningKey, importVerificationKey]) {
      const error = await refusal(read(jwk));
      expect(error.message).toMatch(reason);
      expect(error.message).toMatch(/^The key cannot be used: /);
      expect(error.code).toBe(
        /bits|exponent|ROCA/.test(error.message) ? 'ERR_KEY_WEAK' : 'ERR_KEY_INVALID',
      );
      expectSilence(error, jwk);
    }
  });
});

describe('a JWK is refused to sign for', () => {
  it.each([
    ['no private part', without(P256, 'd'), /private part/],
    ['no private part of an Edwards key', without(ED25519, 'd'), /private part/],
    [
      'no private part of an RSA key',
      without(RSA2048, 'd', 'p', 'q', 'dp', 'dq', 'qi'),
      /private part/,
    ],
    ['a private part that is null', raw({ ...P256, d: null }), /private part/],
    ['a private part that is a number', raw({ ...P256, d: 12345678 }), /private part/],
    ['key_ops that only verify', { ...P256, key_ops: ['verify'] }, /key_ops do not allow "sign"/],
    ['an empty private part', { ...P256, d: '' }, /.*/],
    ['the private part of another key', { ...P256, d: OTHER_P256.d ?? '' }, /parts differ/],
    [
      'the private part of another Edwards key',
      { ...ED25519, d: okp('ed25519').d ?? '' },
      /parts differ/,
    ],
    [
      'the private parts of another RSA key',
      { ...RSA2048, ...OTHER_RSA2048, n: RSA2048.n ?? '' },
      /parts differ/,
    ],
    ['a private part of 0', { ...P256, d: 'A'.repeat(43) }, /.*/],
    ['a private part of the order of the curve', { ...P256, d: base64urlUInt(P256_ORDER) }, /.*/],
    ['a private part beyond the order of the curve', { ...P256, d: '_'.repeat(42) + '8' }, /.*/],
    ['a private part that is too long', { ...P256, d: `${P256.d}${P256.d}` }, /.*/],
    ['a private part of an Edwards key that is too short', { ...ED25519, d: 'AAAA' }, /be read/],
    ['RSA primes missing', without(RSA2048, 'p', 'q', 'dp', 'dq', 'qi'), /be read/],
    ['one RSA prime missing', without(RSA2048, 'q'), /be read/],
  ])('%s', async (_rule, jwk, reason) => {
    const error = await refusal(importSigningKey(jwk));
    expect(error.code).toBe('ERR_KEY_INVALID');
    expect(error.message).toMatch(reason);
    expectSilence(error, jwk);
  });

  it('key_ops that only sign, when it shall verify', async () => {
    const error = await refusal(importVerificationKey({ ...P256, key_ops: ['sign'] }));
    expect(error.message).toMatch(/key_ops do not allow "verify"/);
  });
});

describe('a JWK is accepted', () => {
  it.each([
    ['as it is', P256],
    ['with use and key_ops that fit', { ...P256, use: 'sig', key_ops: ['sign', 'verify'] }],
    ['with members nobody knows (RFC 7517 §4)', { ...P256, ext: true, comment: 'mine' }],
    ['of an Edwards curve under its old name', { ...ED25519, alg: 'EdDSA' }],
    ['of RSA for PS512', { ...RSA2048, alg: 'PS512' }],
  ])('%s', async (_rule, jwk: PrivateJwk) => {
    const key = await importSigningKey(jwk);
    const input = Buffer.from('input');
    const signature = await createSignature(key.row, key.privateKey, input);
    const publicHalf = await importVerificationKey(without(jwk, 'd', 'key_ops'));
    const verifier = new SignatureVerifier();
    expect(await verifier.verify({ key: publicHalf, input, signature })).toBe(true);
    expect(publicHalf.kid).toBe(key.kid);
  });

  it.each([
    ['EC', P256],
    ['OKP', ED25519],
    ['RSA', RSA2048],
  ])('%s with private members, to verify, and they are left behind', async (_kty, jwk) => {
    const key = await importVerificationKey({ ...jwk, x5c: ['AAAA'], x5u: 'https://evil.example' });
    const members = [...key.row.publicMembers, 'alg', 'kid', 'use'].toSorted();
    expect(Object.keys(key.publicJwk).toSorted()).toEqual(members);
    expect(key.verifyWith.key.type).toBe('public');
    expect(key).not.toHaveProperty('privateKey');
  });
});

describe('the kid', () => {
  it('is by default the RFC 7638 thumbprint, as in §3.1', async () => {
    const n =
      '0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECP' +
      'ebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY' +
      '368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0f' +
      'M4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw';
    const key = await importVerificationKey({ kty: 'RSA', n, e: 'AQAB', alg: 'RS256' });
    expect(key.kid).toBe('NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs');
  });

  it.each(['ES256', 'Ed25519'] as const)('is the one jose computes for %s', async (algorithm) => {
    const { publicJwk, kid } = await generateSigningKey(algorithm);
    expect(kid).toBe(await calculateJwkThumbprint(publicJwk as JWK));
  });

  it('is the one given, everywhere', async () => {
    const key = await importSigningKey({ ...P256, kid: 'billing:2026-11' });
    expect([key.kid, key.publicJwk.kid, exportPrivateJwk(key).kid]).toEqual(
      Array.from({ length: 3 }, () => 'billing:2026-11'),
    );
  });

  it.each([
    ['one character', 'a', true],
    ['every kind of character', 'AZaz09._:-', true],
    ['128 characters', 'k'.repeat(128), true],
    ['129 characters', 'k'.repeat(129), false],
    ['nothing', '', false],
    ['a slash', 'a/b', false],
    ['a path', '../../dev/null', false],
    ['a space', 'a b', false],
    ['a quote', 'a"b', false],
    ['a statement', "1' OR '1'='1", false],
    ['a command', '$(id)', false],
    ['a newline at the end', 'key-1\n', false],
    ['a line break inside', 'key\r\nX-Injected: 1', false],
    ['a NUL', 'key\u0000', false],
    ['a letter beyond ASCII', 'kéy', false],
    ['a percent sign', '%2e%2e', false],
    ['a list', ['key-1'], false],
    ['a number', 1, false],
    ['null', null, false],
  ])('of %s (%j) fits: %s (SEMANTICS 1)', async (_rule, kid: unknown, fits) => {
    expect(isKid(kid)).toBe(fits);
    for (const read of [importSigningKey, importVerificationKey]) {
      const outcome = await read(raw({ ...P256, kid })).then(
        (key) => key.kid === kid,
        (error: unknown) => !(error instanceof KeyError && /its kid is not/.test(error.message)),
      );
      expect(outcome).toBe(fits);
    }
  });
});

describe('generateSigningKey', () => {
  it('never makes the same key twice', async () => {
    const keys = await Promise.all(Array.from({ length: 50 }, () => generateSigningKey('ES256')));
    expect(new Set(keys.map(({ kid }) => kid)).size).toBe(50);
  });

  it('makes RSA keys of 3072 bits with the exponent 65537', async () => {
    const { verifyWith } = await generateSigningKey('PS256');
    expect(verifyWith.key.asymmetricKeyDetails).toMatchObject({
      modulusLength: 3072,
      publicExponent: 65537n,
    });
  });
});

describe('PEM', () => {
  const ecKeys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const rsaKeys = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const edKeys = generateKeyPairSync('ed25519');
  const pkcs8 = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }).toString();
  const sec1 = ecKeys.privateKey.export({ type: 'sec1', format: 'pem' }).toString();
  const pkcs1 = rsaKeys.privateKey.export({ type: 'pkcs1', format: 'pem' }).toString();
  const ecPem = pkcs8(ecKeys.privateKey);
  const password = { cipher: 'aes-256-cbc', passphrase: 'secret-of-the-key' };
  const certificate = rootCertificates[0] ?? '';

  it.each([
    ['PKCS#8, EC', ecPem, 'ES256'],
    ['PKCS#8, RSA', pkcs8(rsaKeys.privateKey), 'RS384'],
    ['PKCS#8, Ed25519', pkcs8(edKeys.privateKey), 'Ed25519'],
    ['SEC1', sec1, 'ES256'],
    ['PKCS#1', pkcs1, 'PS256'],
    ['line breaks of Windows', ecPem.replaceAll('\n', '\r\n'), 'ES256'],
    ['no newline at the end', ecPem.trimEnd(), 'ES256'],
    ['blank lines at the end', `${ecPem}\n \n`, 'ES256'],
  ] as const)('is read: %s', async (_form, pem, algorithm) => {
    const key = await importSigningKey({ pem, algorithm });
    expect(key.row.name).toBe(algorithm);
    expect(key.kid).toBe(await calculateJwkThumbprint(key.publicJwk as JWK));
    const again = await importSigningKey(exportPrivateJwk(key));
    expect(again.privateKey.equals(key.privateKey)).toBe(true);
    expect((await importSigningKey({ pem, algorithm, kid: 'mine' })).kid).toBe('mine');
  });

  const BLOCK = /exactly one PEM block/;
  it.each([
    ['a public key', ecKeys.publicKey.export({ type: 'spki', format: 'pem' }), 'ES256', BLOCK],
    [
      'a public key of PKCS#1',
      rsaKeys.publicKey.export({ type: 'pkcs1', format: 'pem' }),
      'RS256',
      BLOCK,
    ],
    ['a certificate', certificate, 'RS256', BLOCK],
    [
      'an encrypted key',
      ecKeys.privateKey.export({ type: 'pkcs8', format: 'pem', ...password }),
      'ES256',
      /encrypted/,
    ],
    [
      'a key encrypted the old way',
      rsaKeys.privateKey.export({ type: 'pkcs1', format: 'pem', ...password }),
      'RS256',
      /encrypted|one PEM block/,
    ],
    ['two keys', ecPem + pkcs8(edKeys.privateKey), 'ES256', BLOCK],
    ['one key twice', ecPem + ecPem, 'ES256', BLOCK],
    ['a key and its certificate', ecPem + certificate, 'ES256', BLOCK],
    ['a certificate before the key', certificate + ecPem, 'ES256', BLOCK],
    ['a comment before it (CVE-2026-34950)', `# production\n${ecPem}`, 'ES256', BLOCK],
    ['a blank line before it', `\n${ecPem}`, 'ES256', BLOCK],
    ['a space before it', ` ${ecPem}`, 'ES256', BLOCK],
    ['a byte order mark before it', `\ufeff${ecPem}`, 'ES256', BLOCK],
    [
      'a public key before it',
      `${String(ecKeys.publicKey.export({ type: 'spki', format: 'pem' }))}${ecPem}`,
      'ES256',
      BLOCK,
    ],
    ['text after it', `${ecPem}trailing`, 'ES256', BLOCK],
    ['line breaks written as \\n', ecPem.replaceAll('\n', '\\n'), 'ES256', BLOCK],
    ['no line breaks', ecPem.replaceAll('\n', ' '), 'ES256', BLOCK],
    ['base64 alone', ecPem.replaceAll(/-----.*-----/g, ''), 'ES256', BLOCK],
    ['no end', ecPem.replace(/-----END.*/, ''), 'ES256', BLOCK],
    ['an empty block', '-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n', 'ES256', BLOCK],
    ['nothing', '', 'ES256', BLOCK],
    ['a path instead of the text', '/etc/keys/signing.pem', 'ES256', BLOCK],
    [
      'another label at the end',
      ecPem.replace('END PRIVATE', 'END EC PRIVATE'),
      'ES256',
      /be read/,
    ],
    [
      'the label of another form',
      ecPem.replaceAll('PRIVATE', 'OPENSSH PRIVATE'),
      'ES256',
      /be read/,
    ],
    ['a key cut short', ecPem.replace(/\n.{20}/, '\n'), 'ES256', /be read/],
    [
      'garbage between the lines',
      ecPem.replace(/\n[A-Za-z0-9+/]{8}/, '\n????????'),
      'ES256',
      /be read/,
    ],
    ['RSA for ES256', pkcs1, 'ES256', /not a key for ES256/],
    ['EC for RS256', sec1, 'RS256', /not a key for RS256/],
    ['P-256 for ES384', sec1, 'ES384', /not a key for ES384/],
    ['EC for EdDSA', ecPem, 'EdDSA', /not a key for EdDSA/],
    ['Ed25519 for ES256', pkcs8(edKeys.privateKey), 'ES256', /not a key for ES256/],
    [
      'X25519 for EdDSA',
      pkcs8(generateKeyPairSync('x25519').privateKey),
      'EdDSA',
      /not a key for EdDSA/,
    ],
    [
      'secp256k1 for ES256',
      pkcs8(generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).privateKey),
      'ES256',
      /not a key for ES256/,
    ],
    ['no algorithm', ecPem, undefined, /algorithm is not on offer/],
    ['an algorithm that is not on offer', ecPem, 'HS256', /algorithm is not on offer/],
    [
      '1024 bits',
      pkcs8(generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey),
      'RS256',
      /2048 bits/,
    ],
    [
      'an exponent of 3',
      pkcs8(generateKeyPairSync('rsa', { modulusLength: 2048, publicExponent: 3 }).privateKey),
      'RS256',
      /exponent/,
    ],
  ] as const)('is refused: %s', async (_rule, pem, algorithm, reason) => {
    const source = { pem: String(pem), algorithm } as PemSigningKey;
    const error = await refusal(importSigningKey(source));
    expect(error.message).toMatch(reason);
    expectSilence(error, { pem: source.pem, password: password.passphrase });
  });

  it('is refused for a kid no header should carry', async () => {
    const error = await refusal(importSigningKey({ pem: ecPem, algorithm: 'ES256', kid: 'a b' }));
    expect(error.message).toMatch(/its kid is not/);
    expectSilence(error, { pem: ecPem });
  });

  it('does not come out as something else when it also looks like a JWK', async () => {
    const source: Source = { ...(await newPrivateJwk()), pem: ecPem, algorithm: 'ES384' };
    expect((await refusal(importSigningKey(source))).message).toMatch(/not a key for ES384/);
  });
});
