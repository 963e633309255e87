import { randomBytes } from 'node:crypto';
import { inspect } from 'node:util';

import {
  encryptionKeyOf,
  exportEncryptionKey,
  generateEncryptionKey,
  importEncryptionKey,
} from '../../lib/keys/encryption-key.js';
import {
  generateSigningKey,
  importSigningKey,
  importVerificationKey,
  type PrivateJwk,
} from '../../lib/keys/key-material.js';
import { recordSecret } from '../support/witness.js';

const K = randomBytes(32).toString('base64url');
recordSecret(K);
const JWK: PrivateJwk = { kty: 'oct', k: K, alg: 'A256KW', use: 'enc', kid: 'enc-1' };

describe('a key to encrypt with', () => {
  it('is 256 random bits under a name of its own', () => {
    const keys = Array.from({ length: 50 }, generateEncryptionKey);
    expect(new Set(keys.map(({ kid }) => kid)).size).toBe(50);
    expect(new Set(keys.map(({ secret }) => secret.export().toString('hex'))).size).toBe(50);
    expect(keys.map(({ secret }) => secret.symmetricKeySize)).toEqual(Array(50).fill(32));
  });

  it('comes back from its JWK as it was', () => {
    const key = generateEncryptionKey();
    const back = importEncryptionKey(exportEncryptionKey(key));
    expect(back.secret.equals(key.secret)).toBe(true);
    expect(back.publicJwk).toEqual(key.publicJwk);
  });

  it('of an operator has the same name wherever it is read, and another one than any other', async () => {
    const bytes = randomBytes(32);
    const [one, two] = [await encryptionKeyOf(bytes), await encryptionKeyOf(Buffer.from(bytes))];
    expect(one.kid).toBe(two.kid);
    expect((await encryptionKeyOf(randomBytes(32))).kid).not.toBe(one.kid);
    expect(one.kid).not.toContain(bytes.toString('base64url'));
  });

  it('says nothing of itself in public but its name and its use', () => {
    const { publicJwk } = importEncryptionKey(JWK);
    expect(publicJwk).toEqual({ kty: 'oct', kid: 'enc-1', alg: 'A256KW', use: 'enc' });
    expect(inspect(importEncryptionKey(JWK), { depth: 9 })).not.toContain(K);
  });

  it.each([
    ['another algorithm', { alg: 'A128KW' }],
    ['a signature algorithm', { alg: 'HS256' }],
    ['no algorithm', { alg: undefined }],
    ['the use of a signature', { use: 'sig' }],
    ['no use', { use: undefined }],
    ['another type', { kty: 'EC' }],
    ['no kid', { kid: undefined }],
    ['a kid with a line break', { kid: 'enc\n1' }],
    ['no secret', { k: undefined }],
    ['an empty secret', { k: '' }],
    ['a short secret', { k: randomBytes(31).toString('base64url') }],
    ['a long secret', { k: randomBytes(33).toString('base64url') }],
    ['a secret in another encoding', { k: `${K}=` }],
    [
      'a secret in another spelling',
      { k: `${Buffer.alloc(32).toString('base64url').slice(0, -1)}B` },
    ],
  ])('is refused with %s, and nothing is said of it', (_, change) => {
    const importing = (): unknown => importEncryptionKey({ ...JWK, ...change } as PrivateJwk);
    expect(importing).toThrow(expect.objectContaining({ code: 'ERR_KEY_INVALID' }));
    expect(importing).not.toThrow(K);
  });

  it('neither signs nor verifies (RFC 7517 §4.2)', async () => {
    const refusal = { code: 'ERR_KEY_INVALID' };
    await expect(importSigningKey(JWK)).rejects.toMatchObject(refusal);
    await expect(importVerificationKey(JWK)).rejects.toMatchObject(refusal);
    await expect(generateSigningKey('A256KW' as 'HS256')).rejects.toThrow(TypeError);
  });
});
