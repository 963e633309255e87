import { sign as signNow } from 'node:crypto';

import { KeyError } from '../../lib/kernel/errors.js';
import type { SigningAlgorithm } from '../../lib/keys/algorithms.js';
import { importSigner } from '../../lib/keys/external-key.js';
import { generateSigningKey, type HeldSigningKey } from '../../lib/keys/key-material.js';
import type { Signer } from '../../lib/keys/signer.js';
import { openIssuer } from '../support/token-mother.js';
import { recordSecret } from '../support/witness.js';

const keys = new Map<SigningAlgorithm, HeldSigningKey>();

beforeAll(async () => {
  for (const algorithm of ['ES256', 'ES384', 'Ed25519', 'PS256'] as const) {
    keys.set(algorithm, await generateSigningKey(algorithm));
  }
});

function keyOf(algorithm: SigningAlgorithm): HeldSigningKey {
  const key = keys.get(algorithm);
  if (key === undefined) throw new RangeError(`no key for ${algorithm}`);
  return key;
}

/** A key in a KMS, as far as anybody outside can tell. */
function signerOf(algorithm: SigningAlgorithm = 'ES256', change: Partial<Signer> = {}): Signer {
  const key = keyOf(algorithm);
  return {
    kid: 'kms-1',
    alg: algorithm,
    publicJwk: key.publicJwk,
    sign: (input) => key.sign(input),
    ...change,
  };
}

async function refusal(attempt: Promise<unknown>): Promise<KeyError> {
  const outcome: unknown = await attempt.then(
    () => new Error('it was accepted'),
    (error: unknown) => error,
  );
  if (outcome instanceof KeyError) return outcome;
  throw outcome instanceof Error ? outcome : new Error('it failed with something else');
}

describe('a signer', () => {
  it.each(['ES256', 'Ed25519', 'PS256'] as const)(
    'of %s signs tokens that verify, and is published under its own kid',
    async (algorithm) => {
      const issuer = await openIssuer({ keys: { signingKey: signerOf(algorithm) } });
      const { token } = await issuer.tokens.sign({ sub: 'alice' });
      recordSecret(token);
      expect(await issuer.tokens.verify(token)).toMatchObject({ algorithm, kid: 'kms-1' });
      expect(issuer.keyRing.jwks().keys).toMatchObject([{ kid: 'kms-1', alg: algorithm }]);
      expect((await issuer.keyRing.signingKey()).privateKey).toBeNull();
    },
  );

  it('is published with public members alone, whatever its publicJwk holds', async () => {
    const key = keyOf('ES256');
    const publicJwk = { ...key.publicJwk, d: 'c2VjcmV0', k: 'c2VjcmV0', x5u: 'https://evil' };
    const { publicJwk: published } = await importSigner(signerOf('ES256', { publicJwk }));
    expect(Object.keys(published).toSorted()).toEqual(
      ['kty', 'crv', 'x', 'y', 'kid', 'alg', 'use'].toSorted(),
    );
  });
});

describe('a signer is refused', () => {
  const other = (): HeldSigningKey => keyOf('ES384');
  const ROWS: readonly (readonly [rule: string, change: () => Partial<Signer>, code: string])[] = [
    ['that signs with another key', () => ({ sign: async () => Buffer.alloc(64, 1) }), 'INVALID'],
    [
      'that signs something else',
      () => ({ sign: () => keyOf('ES256').sign(Buffer.from('something else')) }),
      'INVALID',
    ],
    [
      'that signs in DER, as most KMS do',
      () => ({
        sign: async (input) => signNow('sha256', input, keyOf('ES256').privateKey),
      }),
      'SIGNER_FAILED',
    ],
    ['whose signature is empty', () => ({ sign: async () => Buffer.alloc(0) }), 'SIGNER_FAILED'],
    ['whose signature is short', () => ({ sign: async () => Buffer.alloc(63) }), 'SIGNER_FAILED'],
    ['whose signature is long', () => ({ sign: async () => Buffer.alloc(65) }), 'SIGNER_FAILED'],
    [
      'whose signature is a text',
      () => ({ sign: async () => 'x'.repeat(64) as never }),
      'SIGNER_FAILED',
    ],
    ['that answers nothing', () => ({ sign: async () => undefined as never }), 'SIGNER_FAILED'],
    [
      'that rejects',
      () => ({ sign: () => Promise.reject(new Error('AccessDenied key=s3cr3t')) }),
      'SIGNER_FAILED',
    ],
    [
      'that throws',
      () => ({
        sign: () => {
          throw new Error('AccessDenied key=s3cr3t');
        },
      }),
      'SIGNER_FAILED',
    ],
    ['of another alg than its key', () => ({ alg: 'ES384' }), 'INVALID'],
    ['of an alg that is none', () => ({ alg: 'none' as never }), 'INVALID'],
    [
      'with a shared secret',
      () => ({ alg: 'HS256', publicJwk: { kty: 'oct', k: 'A'.repeat(43) } }),
      'INVALID',
    ],
    ['with the public half of another key', () => ({ publicJwk: other().publicJwk }), 'INVALID'],
    ['without a public half', () => ({ publicJwk: {} }), 'INVALID'],
    ['without a kid', () => ({ kid: '' }), 'INVALID'],
    ['with a kid no header should carry', () => ({ kid: 'a b' }), 'INVALID'],
  ];

  it.each(ROWS)('%s', async (_rule, change, code) => {
    const error = await refusal(importSigner(signerOf('ES256', change())));
    expect(error.code).toBe(`ERR_KEY_${code}`);
    expect(error.message).not.toContain('s3cr3t');
    // As an option, it is a problem with a path, beside all the others.
    await expect(
      openIssuer({ keys: { signingKey: signerOf('ES256', change()) } }),
    ).rejects.toMatchObject({ problems: [{ path: expect.stringContaining('keys.signingKey') }] });
  });

  it('whose algorithm is not that of keys.algorithm', async () => {
    await expect(
      openIssuer({ keys: { algorithm: 'ES384', signingKey: signerOf('ES256') } }),
    ).rejects.toMatchObject({ problems: [{ path: 'keys.algorithm' }] });
  });
});

describe('a signer that fails while tokens are signed', () => {
  it.each([
    ['rejects', () => Promise.reject(new Error('AccessDenied key=s3cr3t'))],
    ['answers a short signature', async () => Buffer.alloc(10)],
  ])('because it %s: nothing is issued, and the next token is', async (_rule, fail) => {
    let state: 'well' | 'failing' = 'well';
    const sign = (input: Uint8Array): Promise<Uint8Array> =>
      state === 'well' ? keyOf('ES256').sign(input) : fail();
    const issuer = await openIssuer({ keys: { signingKey: signerOf('ES256', { sign }) } });
    const heard: unknown[] = [];
    issuer.events.onAny((event) => heard.push(event));
    state = 'failing';
    const error = await refusal(issuer.tokens.sign({ sub: 'alice' }));
    expect(error.code).toBe('ERR_KEY_SIGNER_FAILED');
    expect(error.message).not.toContain('s3cr3t');
    expect(heard).toEqual([]);
    state = 'well';
    const { token } = await issuer.tokens.sign({ sub: 'alice' });
    recordSecret(token);
    expect((await issuer.tokens.verify(token)).subject).toBe('alice');
  });

  it('because it never answers is given up after 5 seconds', async () => {
    let state: 'well' | 'hanging' = 'well';
    const sign = (input: Uint8Array): Promise<Uint8Array> =>
      state === 'well' ? keyOf('ES256').sign(input) : new Promise(() => {});
    const key = await importSigner(signerOf('ES256', { sign }));
    state = 'hanging';
    jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask'] });
    try {
      let outcome: unknown = 'pending';
      const attempt = key.sign(Buffer.from('input')).catch((error: unknown) => (outcome = error));
      await jest.advanceTimersByTimeAsync(4_999);
      expect(outcome).toBe('pending');
      await jest.advanceTimersByTimeAsync(1);
      await attempt;
      expect(outcome).toMatchObject({ code: 'ERR_KEY_SIGNER_FAILED' });
      expect(jest.getTimerCount()).toBe(0);
    } finally {
      jest.useRealTimers();
    }
  });
});
