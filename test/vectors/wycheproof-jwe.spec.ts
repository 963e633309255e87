import type { JsonWebKey } from 'node:crypto';

import { isCanonicalBase64url } from '../../lib/kernel/base64url.js';
import { type EncryptionKey, importEncryptionKey } from '../../lib/keys/encryption-key.js';
import { openEnvelope } from '../../lib/keys/envelope.js';
import type { PrivateJwk } from '../../lib/keys/key-material.js';
import { NestedTokens } from '../../lib/tokens/nested-token.js';
import { readVectors } from './vector-files.js';

/**
 * Project Wycheproof, the JWE file: each case of A256KW with A256GCM comes out as its `result`; all
 * others are refused, whatever they are. The reader of tokens refuses them all: none has the header
 * that this service writes.
 */

interface Case {
  readonly tcId: number;
  readonly comment: string;
  readonly jwe: string;
  readonly pt?: string;
  readonly result: 'valid' | 'invalid';
}

interface Group {
  readonly comment: string;
  readonly private: JsonWebKey & { readonly alg: string };
  readonly tests: readonly Case[];
}

const { testGroups } = readVectors('wycheproof/json_web_encryption_test.public.json') as {
  readonly testGroups: readonly Group[];
};

const rows = testGroups.flatMap(({ private: jwk, tests }) =>
  tests.map((test) => ({ ...test, jwk })),
);

function headerOf({ jwe }: Case): { readonly alg?: unknown; readonly enc?: unknown } {
  try {
    const text = Buffer.from(jwe.split('.')[0] ?? '', 'base64url').toString();
    return JSON.parse(text) as { readonly alg?: unknown };
  } catch {
    return {};
  }
}

function keyOf(jwk: JsonWebKey): EncryptionKey | undefined {
  try {
    return importEncryptionKey(jwk as PrivateJwk);
  } catch {
    return undefined;
  }
}

/** What is in it, in hex; `invalid` if it does not open. */
function judge(row: (typeof rows)[number]): string {
  const { alg, enc } = headerOf(row);
  const [header = '', ...parts] = row.jwe.split('.');
  const key = keyOf(row.jwk);
  if (key === undefined || alg !== 'A256KW' || enc !== 'A256GCM' || parts.length !== 4) {
    return 'invalid';
  }
  if (![header, ...parts].every(isCanonicalBase64url)) return 'invalid';
  const [wrappedKey, iv, ciphertext, tag] = parts.map((part) => Buffer.from(part, 'base64url'));
  if (!wrappedKey || !iv || !ciphertext || !tag) return 'invalid';
  try {
    return openEnvelope(key, header, { wrappedKey, iv, ciphertext, tag }).toString('hex');
  } catch {
    return 'invalid';
  }
}

const isOffered = (row: (typeof rows)[number]): boolean => {
  const { alg, enc } = headerOf(row);
  return row.jwk.alg === 'A256KW' && alg === 'A256KW' && enc === 'A256GCM';
};
const offered = rows.filter(isOffered);
const others = rows.filter((row) => !isOffered(row));

describe('Wycheproof, encrypted', () => {
  it.each(offered)('tcId $tcId ($comment) is $result', (row) => {
    expect(judge(row)).toBe(row.result === 'valid' ? row.pt : 'invalid');
  });

  it.each(others)('tcId $tcId ($jwk.alg, $comment) is refused: it is not on offer', (row) => {
    expect(judge(row)).toBe('invalid');
  });

  it.each(rows)(
    'tcId $tcId ($comment) is no token, also where its key is that of the ring',
    (row) => {
      const key = keyOf(row.jwk);
      const keyRing = { encryptionKey: () => key ?? null, decryptionKey: () => key };
      expect(() => new NestedTokens('both', keyRing).open(row.jwe)).toThrow(
        expect.objectContaining({ code: 'ERR_TOKEN_ENCRYPTION' }),
      );
    },
  );

  it('puts every case of the file in a table', () => {
    expect([offered.length, others.length]).toEqual([1, 70]);
  });
});
