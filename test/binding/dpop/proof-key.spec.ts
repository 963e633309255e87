import { generateKeyPairSync } from 'node:crypto';

import { importProofKey, isProofKey, ProofKeys } from '../../../lib/binding/dpop/proof-key.js';
import { algorithmRow, type SigningAlgorithm } from '../../../lib/keys/algorithms.js';
import { isAvailable } from '../../../lib/keys/key-material.js';
import { TestClock } from '../../support/test-clock.js';
import { WYCHEPROOF_ROCA_MODULUS } from '../../keys/rsa-moduli.js';
import { encode, type Holder, newHolder, proofOf, verdictOf } from './proof-mother.js';
import type { JsonObject } from '../../../lib/kernel/strict-json.js';

/** RFC 9449 §4.3, checks 6 and 7: what may stand in `jwk`. */

let ec: Holder;
let ed: Holder;
let rsa: Holder;

beforeAll(async () => {
  ec = await newHolder();
  ed = await newHolder('Ed25519');
  rsa = await newHolder('RS256');
});

async function importAs(alg: SigningAlgorithm, jwk: object): Promise<string> {
  return verdictOf(importProofKey({ row: algorithmRow(alg), jwk: jwk as JsonObject }));
}

const member = ({ jwk }: Holder, name: string): string => String(jwk[name]);

describe('a public key', () => {
  it.each(['ES256', 'ES384', 'ES512', 'Ed25519', 'EdDSA', 'RS256', 'PS512'] as const)(
    'of %s is known by its thumbprint',
    async (alg) => {
      const holder = await newHolder(alg);
      const jwk = holder.jwk as JsonObject;
      expect(await importProofKey({ row: algorithmRow(alg), jwk })).toMatchObject({
        jkt: holder.jkt,
        row: algorithmRow(alg),
      });
    },
  );

  it.each([
    ['what WebCrypto writes', { ext: true, key_ops: ['verify'] }],
    ['its algorithm, its use and a name', { alg: 'ES256', use: 'sig', kid: 'my key' }],
  ])('may say %s, and is known by the same thumbprint', async (_rule, more) => {
    const jwk = { ...ec.jwk, ...more } as JsonObject;
    expect((await importProofKey({ row: algorithmRow('ES256'), jwk })).jkt).toBe(ec.jkt);
  });

  const MODERN = isAvailable('ML-DSA-44') ? (['ML-DSA-44'] as const) : [];
  it.each([...MODERN, 'ES256'] as const)('of %s fits into a proof', async (alg) => {
    const proof = await proofOf(await newHolder(alg), new TestClock());
    expect(proof.length).toBeLessThan(8192);
  });
});

describe('is refused', () => {
  it.each<[string, () => object]>([
    ['a private key', () => ({ ...ec.jwk, d: ec.key.privateKey.export({ format: 'jwk' }).d })],
    ['a private part that is none', () => ({ ...ec.jwk, d: '' })],
    ['a private part of another type', () => ({ ...ec.jwk, p: 'AQAB' })],
    ['a private part of no string', () => ({ ...ec.jwk, d: null })],
    ['a shared secret beside it', () => ({ ...ec.jwk, k: 'AAAA' })],
    ['the private seed of ML-DSA', () => ({ ...ec.jwk, priv: 'AAAA' })],
    ['a shared secret', () => ({ kty: 'oct', k: 'A'.repeat(43) })],
    ['a certificate', () => ({ ...ec.jwk, x5c: ['MIIB'] })],
    ['a place to fetch it from', () => ({ ...ec.jwk, x5u: 'https://evil.example' })],
    ['another place', () => ({ ...ec.jwk, jku: 'https://evil.example' })],
    ['a thumbprint of its own', () => ({ ...ec.jwk, 'x5t#S256': 'AAAA' })],
    ['a member nobody knows', () => ({ ...ec.jwk, note: 'x' })],
    ['__proto__', () => JSON.parse('{"__proto__":{"kty":"EC"}}') as object],
    ['no member', () => ({})],
    ['no kty', () => ({ ...ec.jwk, kty: undefined })],
    ['a kty in lower case', () => ({ ...ec.jwk, kty: 'ec' })],
    ['a list as kty', () => ({ ...ec.jwk, kty: ['EC'] })],
    ['no crv', () => ({ ...ec.jwk, crv: undefined })],
    ['another curve', () => ({ ...ec.jwk, crv: 'P-384' })],
    ['secp256k1', () => newEc('secp256k1')],
    ['a key of P-384', () => newEc('P-384')],
    ['a key of Ed25519', () => ed.jwk],
    ['a key of RSA', () => rsa.jwk],
    ['no y', () => ({ ...ec.jwk, y: undefined })],
    ['a point off the curve', () => ({ ...ec.jwk, y: member(ec, 'x') })],
    ['a point at zero', () => ({ ...ec.jwk, x: zeros(43), y: zeros(43) })],
    ['coordinates that are too long', () => ({ ...ec.jwk, x: `AAAA${member(ec, 'x')}` })],
    ['coordinates that are too short', () => ({ ...ec.jwk, x: member(ec, 'x').slice(4) })],
    ['padding', () => ({ ...ec.jwk, x: `${member(ec, 'x')}=` })],
    ['white space', () => ({ ...ec.jwk, x: ` ${member(ec, 'x')}` })],
    ['stray bits', () => ({ ...ec.jwk, x: stray(member(ec, 'x')) })],
    ['a number as coordinate', () => ({ ...ec.jwk, x: 7 })],
    ['a key for encryption', () => ({ ...ec.jwk, use: 'enc' })],
    ['a key that may only sign', () => ({ ...ec.jwk, key_ops: ['sign'] })],
    ['key_ops that are no list', () => ({ ...ec.jwk, key_ops: 'verify' })],
    ['another alg', () => ({ ...ec.jwk, alg: 'ES384' })],
    ['alg none', () => ({ ...ec.jwk, alg: 'none' })],
    ['alg of no string', () => ({ ...ec.jwk, alg: null })],
  ])('%s', async (_rule, jwk) => {
    expect(await importAs('ES256', jwk())).toBe('ERR_PROOF_KEY');
  });

  it.each<[string, () => object]>([
    ['Ed448', () => publicOf(generateKeyPairSync('ed448'))],
    ['X25519', () => publicOf(generateKeyPairSync('x25519'))],
    ['a point of the wrong length', () => ({ ...ed.jwk, x: zeros(42) })],
  ])('%s for Ed25519', async (_rule, jwk) => {
    expect(await importAs('Ed25519', jwk())).toBe('ERR_PROOF_KEY');
  });

  it.each<[string, () => object]>([
    ['1024 bits', () => newRsa(1024)],
    ['2040 bits', () => newRsa(2040)],
    ['8192 bits, slow to verify', () => ({ ...rsa.jwk, n: `z${'A'.repeat(1365)}` })],
    ['an exponent of 3', () => ({ ...rsa.jwk, e: 'Aw' })],
    ['an exponent as long as the modulus', () => ({ ...rsa.jwk, e: member(rsa, 'n') })],
    ['an exponent with a zero before it', () => ({ ...rsa.jwk, e: 'AAEAAQ' })],
    ['an even exponent', () => ({ ...rsa.jwk, e: 'AQAA' })],
    ['a zero before the modulus', () => ({ ...rsa.jwk, n: `AAAA${member(rsa, 'n')}` })],
    ['other primes', () => ({ ...rsa.jwk, oth: [] })],
    ['no modulus', () => ({ kty: 'RSA', e: 'AQAB' })],
    ['PSS beside RS256', () => ({ ...rsa.jwk, alg: 'PS256' })],
  ])('%s for RS256', async (_rule, jwk) => {
    expect(await importAs('RS256', jwk())).toBe('ERR_PROOF_KEY');
  });
});

it('an RSA key with the flaw of ROCA is refused as weak', async () => {
  const jwk = { ...rsa.jwk, n: WYCHEPROOF_ROCA_MODULUS } as JsonObject;
  await expect(importProofKey({ row: algorithmRow('RS256'), jwk })).rejects.toMatchObject({
    code: 'ERR_PROOF_KEY',
    cause: { code: 'ERR_KEY_WEAK' },
  });
});

describe('ProofKeys', () => {
  const headerOf = ({ alg, jwk }: Holder): string => encode({ typ: 'dpop+jwt', alg, jwk });

  it('remembers a key by its whole header, and only when told', async () => {
    const keys = new ProofKeys(['ES256', 'Ed25519'], 10);
    const header = headerOf(ec);
    const found = keys.find(header);
    expect(isProofKey(found)).toBe(false);
    if (isProofKey(found)) return;
    const key = await importProofKey(found);
    expect(isProofKey(keys.find(header))).toBe(false);
    keys.remember(header, key);
    expect(keys.find(header)).toBe(key);
    expect(isProofKey(keys.find(headerOf(ed)))).toBe(false);
  });

  it('has room for so many, whoever makes up keys', async () => {
    const keys = new ProofKeys(['ES256'], 100);
    const found = keys.find(headerOf(ec));
    if (isProofKey(found)) throw new Error('it was never remembered');
    const key = await importProofKey(found);
    for (let index = 0; index < 1_000; index++) keys.remember(`header-${index}`, key);
    expect(keys.size).toBe(100);
    // Long headers count for several.
    for (let index = 0; index < 100; index++) keys.remember(`${index}`.padEnd(4_000), key);
    expect(keys.size).toBeLessThan(8);
  });
});

function newEc(namedCurve: string): object {
  return publicOf(generateKeyPairSync('ec', { namedCurve }));
}

function newRsa(modulusLength: number): object {
  return publicOf(generateKeyPairSync('rsa', { modulusLength }));
}

function publicOf({ publicKey }: { readonly publicKey: { export(o: { format: 'jwk' }): object } }) {
  return publicKey.export({ format: 'jwk' });
}

function zeros(characters: number): string {
  return 'A'.repeat(characters);
}

/** The same bytes with an unused bit set. */
function stray(text: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  return text.slice(0, -1) + alphabet.charAt(alphabet.indexOf(text.slice(-1)) | 1);
}
