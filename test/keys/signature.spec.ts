import { createPublicKey, generateKeyPairSync, type KeyObject, sign, verify } from 'node:crypto';
import { stat } from 'node:fs/promises';

import { algorithmRow } from '../../lib/keys/algorithms.js';
import { generateSigningKey, type HeldSigningKey } from '../../lib/keys/key-material.js';
import {
  createSignature,
  type SignatureCheck,
  SignatureVerifier,
} from '../../lib/keys/signature.js';

const INPUT = Buffer.from('header.payload');

async function checkOf(key: HeldSigningKey): Promise<SignatureCheck> {
  const signature = await createSignature(key.row, key.privateKey, INPUT);
  return { key, input: INPUT, signature };
}

const spoiled = (check: SignatureCheck): SignatureCheck => ({
  ...check,
  input: Buffer.from('header.other'),
});

const nextTurn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

describe('createSignature', () => {
  it('answers later, with the signature of exactly these bytes', async () => {
    const key = await generateSigningKey('Ed25519');
    const pending = createSignature(key.row, key.privateKey, INPUT);
    expect(pending).toBeInstanceOf(Promise);
    // Ed25519 signs the same bytes the same way each time (RFC 8032 §5.1.6).
    expect(await createSignature(key.row, key.privateKey, INPUT)).toEqual(await pending);
    expect(await createSignature(key.row, key.privateKey, Buffer.from('b'))).not.toEqual(
      await pending,
    );
  });

  it('rejects when the key cannot sign, instead of throwing past the promise', async () => {
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const attempt = createSignature(algorithmRow('ES256'), publicKey, INPUT);
    await expect(attempt).rejects.toMatchObject({ code: 'ERR_CRYPTO_INVALID_KEY_OBJECT_TYPE' });
  });
});

describe('SignatureVerifier', () => {
  let check: SignatureCheck;

  beforeAll(async () => {
    check = await checkOf(await generateSigningKey('ES256'));
  });

  it('answers at once while idle', () => {
    expect(new SignatureVerifier().verify(check)).toBe(true);
    expect(new SignatureVerifier().verify(spoiled(check))).toBe(false);
  });

  it('hands a second check of the same turn to the thread pool, with the same verdict', async () => {
    const verifier = new SignatureVerifier();
    expect(verifier.verify(check)).toBe(true);
    const right = verifier.verify(check);
    const wrong = verifier.verify(spoiled(check));
    expect(right).toBeInstanceOf(Promise);
    expect(wrong).toBeInstanceOf(Promise);
    expect(await Promise.all([right, wrong])).toEqual([true, false]);
  });

  /** How many checks, one after another, it takes until one is answered at once. */
  async function checksUntilIdle(verifier: SignatureVerifier): Promise<number> {
    for (let checks = 1; checks <= 100; checks++) {
      await nextTurn();
      const answer = verifier.verify(check);
      if (answer === true) return checks;
      expect(await answer).toBe(true);
    }
    return Infinity;
  }

  it('is idle again once a number of checks met no other, and not before', async () => {
    const verifier = new SignatureVerifier();
    void verifier.verify(check);
    await verifier.verify(check);
    expect(await checksUntilIdle(verifier)).toBe(16);
    expect(await checksUntilIdle(verifier)).toBe(1);
  });

  it('stays out of the way while the pool works, however many turns that takes', async () => {
    const verifier = new SignatureVerifier();
    // Goes on in the poll phase, which the next turn follows without asking the pool in between.
    await stat(__filename);
    void verifier.verify(check);
    const busy = Promise.all(Array.from({ length: 64 }, async () => verifier.verify(check)));
    await nextTurn();
    const late = verifier.verify(check);
    expect(late).toBeInstanceOf(Promise);
    expect(await busy).toEqual(Array.from({ length: 64 }, () => true));
    expect(await late).toBe(true);
  });

  it('mixes up no verdicts: 300 right and wrong checks at once', async () => {
    const verifier = new SignatureVerifier();
    const expected = Array.from({ length: 300 }, (_, index) => index % 3 !== 0);
    const verdicts = expected.map(async (right) => verifier.verify(right ? check : spoiled(check)));
    expect(await Promise.all(verdicts)).toEqual(expected);
  });

  it('always answers at once where the check is cheaper than handing it over (RSA)', async () => {
    const verifier = new SignatureVerifier();
    const rsa = await checkOf(await generateSigningKey('RS256'));
    expect([verifier.verify(rsa), verifier.verify(rsa), verifier.verify(spoiled(rsa))]).toEqual([
      true,
      true,
      false,
    ]);
  });

  it.each([
    ['an empty signature', Buffer.alloc(0)],
    ['a signature of zeros (CVE-2022-21449)', Buffer.alloc(64)],
    ['a signature that is one byte short', Buffer.alloc(63, 1)],
    ['a signature that is one byte long', Buffer.alloc(65, 1)],
    ['a huge signature', Buffer.alloc(100_000, 1)],
  ])('answers no for %s, idle or busy, and never throws', async (_rule, signature) => {
    const verifier = new SignatureVerifier();
    expect(verifier.verify({ ...check, signature })).toBe(false);
    expect(await verifier.verify({ ...check, signature })).toBe(false);
  });

  it('refuses an RSA signature without its leading zeros (RFC 8017 §8.1.2)', async () => {
    const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const { parameters, digest } = algorithmRow('PS256');
    const verifyWith = { key: publicKey, ...parameters };
    const key = { row: algorithmRow('PS256'), verifyWith, signatureLength: 256 };
    // PSS draws a salt: one signature in 256 begins with a zero.
    let signature: Buffer;
    do signature = sign(digest, INPUT, { key: privateKey, ...parameters });
    while (signature[0] !== 0);
    const short = signature.subarray(1);
    expect(verify(digest, INPUT, verifyWith, short)).toBe(true);
    const verifier = new SignatureVerifier();
    expect(await verifier.verify({ key, input: INPUT, signature })).toBe(true);
    expect(await verifier.verify({ key, input: INPUT, signature: short })).toBe(false);
  });

  it('does not count a check as running once it failed', async () => {
    const verifier = new SignatureVerifier();
    const { privateKey } = generateKeyPairSync('x25519');
    const unusable: KeyObject = createPublicKey(privateKey);
    const broken: SignatureCheck = {
      ...check,
      key: { ...check.key, verifyWith: { key: unusable } },
    };
    void verifier.verify(check);
    const refused = (async () => verifier.verify(broken))().catch(() => false);
    expect(await refused).toBe(false);
    expect(await checksUntilIdle(verifier)).toBe(16);
  });
});
