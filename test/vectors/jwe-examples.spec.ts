import { readdirSync } from 'node:fs';
import { join } from 'node:path';

import { compactDecrypt } from 'jose/jwe/compact/decrypt';

import { TokenError } from '../../lib/kernel/errors.js';
import { importEncryptionKey } from '../../lib/keys/encryption-key.js';
import type { PrivateJwk } from '../../lib/keys/key-material.js';
import { NestedTokens } from '../../lib/tokens/nested-token.js';
import { type Issuer, openIssuer } from '../support/token-mother.js';
import { recordSecret } from '../support/witness.js';
import { DATA, readVectors } from './vector-files.js';

/**
 * The encrypted examples of the IETF JOSE cookbook (RFC 7520 §5 and §6). None is of the one algorithm
 * on offer, so what they show is that no other gets in; and that ours has the form of §5.8 and §6.
 */

interface Example {
  readonly title: string;
  readonly output?: { readonly compact?: string; readonly json?: object };
  readonly encrypt?: { readonly output: { readonly compact: string } };
}

const FILES = [
  ...readdirSync(join(DATA, 'cookbook/jwe')).map((file) => `cookbook/jwe/${file}`),
  'cookbook/6.nesting_signatures_and_encryption.json',
];

const examples = FILES.map((file) => ({ file, ...(readVectors(file) as Example) }));

let issuer: Issuer;

beforeAll(async () => {
  issuer = await openIssuer({ tokens: { encryption: { accept: 'both' } } });
});

describe('RFC 7520 §5 and §6', () => {
  it.each(examples)('$file is refused in its compact form, or as JSON', async (example) => {
    const text =
      example.encrypt?.output.compact ??
      example.output?.compact ??
      JSON.stringify(example.output?.json);
    expect(text.length).toBeGreaterThan(100);
    await expect(issuer.tokens.verify(text)).rejects.toThrow(TokenError);
  });

  it('are all there', () => {
    expect(examples).toHaveLength(14);
  });

  it('§5.8, §6: ours is a signed token, wrapped by AES Key Wrap, encrypted by AES-GCM', async () => {
    const { token } = await issuer.tokens.sign({ sub: 'alice' });
    recordSecret(token);
    const key = issuer.keyRing.encryptionKey();
    if (key === null) throw new Error('no key encrypts');
    const { plaintext, protectedHeader } = await compactDecrypt(token, key.secret);
    expect(protectedHeader).toMatchObject({ alg: 'A256KW', enc: 'A256GCM', cty: 'JWT' });
    const signed = Buffer.from(plaintext).toString();
    recordSecret(signed);
    expect((await issuer.tokens.verify(signed)).subject).toBe('alice');
  });

  it('a key of the cookbook decrypts nothing but what the service itself wrote with it', () => {
    // RFC 7520 §3.6: a key for AES-GCM, said to be one for AES Key Wrap.
    const k = 'AAPapAv4LbFbiVawEjagUBluYqN5rhna-8nuldDvOx8';
    const jwk: PrivateJwk = { kty: 'oct', k, alg: 'A256KW', use: 'enc', kid: 'cookbook' };
    const key = importEncryptionKey(jwk);
    const nested = new NestedTokens('encrypted', {
      encryptionKey: () => key,
      decryptionKey: () => key,
    });
    expect(nested.open(nested.seal('a.b.c')).content).toBe('a.b.c');
    for (const { output } of examples) {
      const compact = output?.compact ?? 'none';
      expect(() => nested.open(compact)).toThrow(TokenError);
    }
  });
});
