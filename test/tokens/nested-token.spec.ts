import { randomBytes } from 'node:crypto';

import { compactDecrypt } from 'jose/jwe/compact/decrypt';
import { CompactEncrypt } from 'jose/jwe/compact/encrypt';

import { TokenError } from '../../lib/kernel/errors.js';
import type { EncryptionKey } from '../../lib/keys/encryption-key.js';
import { openEnvelope, sealEnvelope } from '../../lib/keys/envelope.js';
import { exportPrivateJwk, generateSigningKey } from '../../lib/keys/key-material.js';
import { memoryStorage } from '../../lib/storage/memory/memory-storage.js';
import type { TokenKind } from '../../lib/tokens/claims.js';
import { NestedTokens } from '../../lib/tokens/nested-token.js';
import { TestClock } from '../support/test-clock.js';
import { type Issuer, openIssuer } from '../support/token-mother.js';
import { recordSecret } from '../support/witness.js';

const DAY = 86_400_000;
const KEYS = Array.from({ length: 2 }, () => randomBytes(32).toString('base64url'));
KEYS.forEach(recordSecret);

let clock: TestClock;
let issuer: Issuer;

const encrypting = (options: object = {}): Promise<Issuer> =>
  openIssuer({ tokens: { encryption: {}, ...options } }, clock);

beforeEach(async () => {
  clock = new TestClock();
  issuer = await encrypting();
});

async function sign(by: Issuer = issuer, claims: object = {}): Promise<string> {
  const { token } = await by.tokens.sign({ sub: 'alice', ...claims });
  recordSecret(token);
  return token;
}

function keyOf({ keyRing }: Issuer): EncryptionKey {
  const key = keyRing.encryptionKey();
  if (key === null) throw new Error('no key encrypts');
  return key;
}

/** A part of a compact text. */
const partsOf = (token: string): readonly string[] => token.split('.');
const textOf = (part: string | undefined): string =>
  Buffer.from(part ?? '', 'base64url').toString();

/** What is inside, opened by somebody else. */
async function contentOf(token: string, { secret } = keyOf(issuer)): Promise<string> {
  const { plaintext } = await compactDecrypt(token, secret);
  const text = Buffer.from(plaintext).toString();
  recordSecret(text);
  return text;
}

/** Any content under the key and the header of the service, as only an insider could make it. */
function encrypt(content: string, by: Issuer = issuer): string {
  const key = keyOf(by);
  const header = Buffer.from(
    `{"alg":"A256KW","enc":"A256GCM","typ":"at+jwe","cty":"JWT","kid":"${key.kid}"}`,
  ).toString('base64url');
  const { wrappedKey, iv, ciphertext, tag } = sealEnvelope(key, header, Buffer.from(content));
  const parts = [wrappedKey, iv, ciphertext, tag].map((part) => part.toString('base64url'));
  const token = [header, ...parts].join('.');
  recordSecret(token);
  return token;
}

async function refusalOf(token: string, by: Issuer = issuer): Promise<TokenError> {
  const outcome: unknown = await by.tokens.verify(token).then(
    () => 'accepted',
    (error: unknown) => error,
  );
  if (outcome instanceof TokenError) return outcome;
  throw outcome instanceof Error ? outcome : new Error('it was accepted');
}

const codeOf = async (token: string, by?: Issuer): Promise<string> =>
  (await refusalOf(token, by)).code;

describe('an encrypted access token', () => {
  it('shows nothing of what it says, and says the same to this service', async () => {
    const token = await sign(issuer, { scope: 'read', team: 'blue' });
    const [header, ...others] = partsOf(token);
    expect(others).toHaveLength(4);
    expect(JSON.parse(textOf(header))).toEqual({
      alg: 'A256KW',
      enc: 'A256GCM',
      typ: 'at+jwe',
      cty: 'JWT',
      kid: keyOf(issuer).kid,
    });
    expect(others.map(textOf).join()).not.toMatch(/alice|read|blue|iss|at\+jwt/);
    const verified = await issuer.tokens.verify(token);
    expect(verified.claims).toMatchObject({ sub: 'alice', scope: 'read', team: 'blue' });
    expect(verified.encryptionKid).toBe(keyOf(issuer).kid);
    expect(verified.kid).toBe((await issuer.keyRing.signingKey()).kid);
  });

  it('is one that jose opens, with a token inside that was signed as ever', async () => {
    const token = await sign();
    const signed = await contentOf(token);
    expect(JSON.parse(textOf(partsOf(signed)[0]))).toMatchObject({ alg: 'ES256', typ: 'at+jwt' });
    const plain = await openIssuer({ tokens: { encryption: { accept: 'both' } } }, clock);
    expect(await codeOf(signed, plain)).toBe('ERR_TOKEN_UNKNOWN_KEY');
  });

  it('is another text each time, and remembered as the whole text', async () => {
    const token = await sign();
    const again = encrypt(await contentOf(token));
    expect(again).not.toBe(token);
    const [first, second] = [await issuer.tokens.verify(token), await issuer.tokens.verify(again)];
    expect(await issuer.tokens.verify(token)).toBe(first);
    expect(second).not.toBe(first);
    expect(second.tokenId).toBe(first.tokenId);
    // The tag alone finds the entry; the rest has to be the same, too.
    const parts = [...partsOf(token)];
    parts[3] = partsOf(again)[3] ?? '';
    expect(await codeOf(parts.join('.'))).toBe('ERR_TOKEN_ENCRYPTION');
  });

  it('is revoked, expires and is held to its claims like any other', async () => {
    const token = await sign();
    const { tokenId, expiresAt } = await issuer.tokens.verify(token);
    const other = await sign();
    await issuer.revocations.revokeToken(tokenId, expiresAt);
    expect(await codeOf(token)).toBe('ERR_TOKEN_REVOKED');
    expect((await issuer.tokens.verify(other)).subject).toBe('alice');
    clock.advance(DAY);
    expect(await codeOf(other)).toBe('ERR_TOKEN_EXPIRED');
  });

  it('leaves the other kinds as they are: signed only, and never accepted encrypted', async () => {
    const kinds: readonly TokenKind[] = ['confirmation', 'logout', 'statusList', 'securityEvent'];
    for (const kind of kinds) {
      const { token } = await issuer.tokens.sign({ sub: 'alice' }, { kind });
      recordSecret(token);
      expect(partsOf(token)).toHaveLength(3);
      expect((await issuer.tokens.verify(token, { kind })).kind).toBe(kind);
      expect(await codeOf(encrypt(token))).toBe('ERR_TOKEN_TYPE');
      await expect(issuer.tokens.verify(encrypt(token), { kind })).rejects.toMatchObject({
        code: 'ERR_TOKEN_FORMAT',
      });
    }
  });

  it('is not too long to be accepted, or is not issued', async () => {
    const fits = await sign(issuer, { note: 'x'.repeat(3_800) });
    expect((await issuer.tokens.verify(fits)).subject).toBe('alice');
    const claims = { sub: 'alice', note: 'x'.repeat(5_000) };
    // Signed only, it would have had room.
    await expect(issuer.tokens.sign(claims)).rejects.toMatchObject({ code: 'ERR_CLAIM_TOO_LARGE' });
    expect(await codeOf(`${fits}${'A'.repeat(8_192)}`)).toBe('ERR_TOKEN_TOO_LARGE');
  });
});

describe('what is inside', () => {
  const CLAIMS = JSON.stringify({ sub: 'alice', exp: 9e9 });

  it.each<readonly [string, (signed: string) => string, string]>([
    ['raw claims (CVE-2026-29000)', () => CLAIMS, 'ERR_TOKEN_FORMAT'],
    ['nothing but a dot', () => '.', 'ERR_TOKEN_FORMAT'],
    ['bytes', () => '\u0000\u00ff\u0010', 'ERR_TOKEN_FORMAT'],
    ['a token that is encrypted again', (signed) => encrypt(signed), 'ERR_TOKEN_FORMAT'],
    ['a line break before it', (signed) => `\n${signed}`, 'ERR_TOKEN_FORMAT'],
    ['white space after it', (signed) => `${signed} `, 'ERR_TOKEN_FORMAT'],
    [
      'its signature cut off',
      (signed) => signed.slice(0, signed.lastIndexOf('.') + 1),
      'ERR_TOKEN_FORMAT',
    ],
    [
      'its signature changed',
      (signed) => signed.slice(0, -8) + (signed.endsWith('AAAAAAAA') ? 'BBBBBBBB' : 'AAAAAAAA'),
      'ERR_TOKEN_SIGNATURE',
    ],
    [
      'alg none (CVE-2026-9793)',
      (signed) => unsigned(signed, { alg: 'none' }),
      'ERR_TOKEN_ALGORITHM',
    ],
    ['a header of JWE', (signed) => unsigned(signed, { enc: 'A256GCM' }), 'ERR_TOKEN_HEADER'],
    ['compression', (signed) => unsigned(signed, { zip: 'DEF' }), 'ERR_TOKEN_HEADER'],
    ['another nesting', (signed) => unsigned(signed, { cty: 'JWT' }), 'ERR_TOKEN_HEADER'],
  ])('is refused if it is %s', async (_, change, code) => {
    expect(await codeOf(encrypt(change(await contentOf(await sign()))))).toBe(code);
  });

  /** The token with members of its header changed, and its old signature. */
  function unsigned(signed: string, members: object): string {
    const [header, payload, signature] = partsOf(signed);
    const changed = { ...(JSON.parse(textOf(header)) as object), ...members };
    return [Buffer.from(JSON.stringify(changed)).toString('base64url'), payload, signature].join(
      '.',
    );
  }

  it('is refused if another service signed it', async () => {
    const stranger = await openIssuer({}, clock);
    const theirs = await sign(stranger);
    expect(await codeOf(encrypt(theirs))).toBe('ERR_TOKEN_UNKNOWN_KEY');
  });
});

describe('a text that cannot be decrypted', () => {
  const refused = { code: 'ERR_TOKEN_ENCRYPTION', detail: 'the token cannot be decrypted' };

  it.each<readonly [string, (parts: readonly string[]) => readonly string[]]>([
    ['another kid', ([, ...rest]) => [headerWith({ kid: 'other' }), ...rest]],
    ['no kid', ([, ...rest]) => [headerWith({ kid: undefined }), ...rest]],
    ['dir (RFC 7518 §4.5)', ([, ...rest]) => [headerWith({ alg: 'dir' }), ...rest]],
    ['A256GCMKW', ([, ...rest]) => [headerWith({ alg: 'A256GCMKW' }), ...rest]],
    ['RSA1_5', ([, ...rest]) => [headerWith({ alg: 'RSA1_5' }), ...rest]],
    [
      'ECDH-ES with a key of the sender',
      ([, ...rest]) => [
        headerWith({ alg: 'ECDH-ES', epk: { kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA' } }),
        ...rest,
      ],
    ],
    [
      'PBES2 with ten million rounds (CVE-2022-36083)',
      ([, ...rest]) => [
        headerWith({ alg: 'PBES2-HS256+A128KW', p2c: 10_000_000, p2s: 'AAAAAAAAAAA' }),
        ...rest,
      ],
    ],
    ['compression', ([, ...rest]) => [headerWith({ zip: 'DEF' }), ...rest]],
    ['crit', ([, ...rest]) => [headerWith({ crit: ['exp'] }), ...rest]],
    [
      'a key in its header',
      ([, ...rest]) => [headerWith({ jwk: { kty: 'oct', k: 'AA' } }), ...rest],
    ],
    ['a header that is no JSON', ([, ...rest]) => [base64('{'), ...rest]],
    ['an empty key (CVE-2026-34986)', ([header = '', , ...rest]) => [header, '', ...rest]],
    ['a key of zeros', ([header = '', , ...rest]) => [header, 'A'.repeat(54), ...rest]],
    ['another IV', ([header = '', key = '', , ...rest]) => [header, key, 'A'.repeat(16), ...rest]],
    [
      'an IV of 96 bytes',
      ([header = '', key = '', , ...rest]) => [header, key, 'A'.repeat(128), ...rest],
    ],
    ['no content', ([header = '', key = '', iv = '', , tag = '']) => [header, key, iv, '', tag]],
    [
      'other content',
      ([header = '', key = '', iv = '', , tag = '']) => [header, key, iv, 'AAAA', tag],
    ],
    ['another tag (CVE-2021-29443)', (parts) => [...parts.slice(0, 4), 'A'.repeat(22)]],
    [
      'a tag of 12 bytes (CVE-2019-18848)',
      (parts) => [...parts.slice(0, 4), (parts[4] ?? '').slice(0, 16)],
    ],
    ['a tag of one byte', (parts) => [...parts.slice(0, 4), (parts[4] ?? '').slice(0, 2)]],
    ['padding', (parts) => [...parts.slice(0, 4), `${parts[4]}==`]],
    ['a tag in another spelling', (parts) => [...parts.slice(0, 4), respelled(parts[4] ?? '')]],
    ['a dot for nothing', () => ['', '', '', '', '']],
  ])('is refused in the one way with %s', async (_, change) => {
    const token = change(partsOf(await sign())).join('.');
    expect(await refusalOf(token)).toMatchObject(refused);
    expect((await refusalOf(token)).cause).toBeUndefined();
  });

  const base64 = (text: string): string => Buffer.from(text).toString('base64url');

  /** A header the service would write, but for these members. */
  function headerWith(members: object): string {
    const header = { alg: 'A256KW', enc: 'A256GCM', typ: 'at+jwe', cty: 'JWT' };
    return base64(JSON.stringify({ ...header, kid: keyOf(issuer).kid, ...members }));
  }

  /** The same bytes with other bits where none count. */
  function respelled(part: string): string {
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const last = alphabet.indexOf(part.slice(-1));
    return part.slice(0, -1) + (alphabet[last ^ 1] ?? '');
  }

  it('is refused under a right key with a header of other members, or in another order', async () => {
    const signed = await contentOf(await sign());
    const { kid, secret } = keyOf(issuer);
    const right = { alg: 'A256KW', enc: 'A256GCM', typ: 'at+jwe', cty: 'JWT', kid };
    const seal = async (header: object): Promise<string> => {
      const sealing = new CompactEncrypt(Buffer.from(signed));
      const token = await sealing.setProtectedHeader(header as typeof right).encrypt(secret);
      recordSecret(token);
      return token;
    };
    expect((await issuer.tokens.verify(await seal(right))).subject).toBe('alice');
    for (const header of [
      Object.fromEntries(Object.entries(right).toReversed()),
      { ...right, typ: 'at+jwt' },
      { ...right, cty: 'jwt' },
      { ...right, iss: 'x' },
      { alg: 'A256KW', enc: 'A256GCM', kid },
      { ...right, enc: 'A256CBC-HS512' },
    ]) {
      expect(await refusalOf(await seal(header))).toMatchObject(refused);
    }
  });

  it('is refused under the key of another service', async () => {
    const stranger = await encrypting();
    expect(await refusalOf(await sign(stranger))).toMatchObject(refused);
  });
});

describe('signed tokens of this service', () => {
  it('are refused where tokens are encrypted: nobody leaves the encryption out', async () => {
    const signed = await contentOf(await sign());
    expect(await codeOf(signed)).toBe('ERR_TOKEN_ENCRYPTION');
  });

  it('pass where both do, and new ones are encrypted', async () => {
    const both = await encrypting({ encryption: { accept: 'both' } });
    const token = await sign(both);
    const signed = await contentOf(token, keyOf(both));
    expect(partsOf(token)).toHaveLength(5);
    expect((await both.tokens.verify(signed)).encryptionKid).toBeUndefined();
    expect((await both.tokens.verify(token)).encryptionKid).toBe(keyOf(both).kid);
  });

  it('are all there is without the option, and an encrypted one is no token then (K007)', async () => {
    const plain = await openIssuer({}, clock);
    expect(partsOf(await sign(plain))).toHaveLength(3);
    expect(await codeOf(await sign(), plain)).toBe('ERR_TOKEN_FORMAT');
  });
});

describe('the key of an encrypted token', () => {
  it('rotates with the ring, and every token is decrypted as long as it lives', async () => {
    const storage = memoryStorage();
    const open = (): Promise<Issuer> =>
      openIssuer({ storage, tokens: { encryption: {} }, keys: { rotateEvery: '2d' } }, clock);
    const one = await open();
    const kids = new Set<string>();
    while (kids.size < 31) {
      const token = await sign(one);
      const verified = await one.tokens.verify(token);
      kids.add(verified.encryptionKid ?? '');
      clock.advance(14 * 60_000);
      expect(await one.tokens.verify(token)).toBe(verified);
      clock.advance(DAY / 2);
    }
  });

  it('ends its tokens when it is compromised, remembered ones too, and nothing else', async () => {
    const token = await sign();
    const verified = await issuer.tokens.verify(token);
    const { kid } = keyOf(issuer);
    const { successor } = await issuer.keyRing.compromise(kid);
    expect(await refusalOf(token)).toMatchObject({ code: 'ERR_TOKEN_ENCRYPTION' });
    expect(() => issuer.tokens.assertStands(verified)).toThrow(TokenError);
    const next = await issuer.tokens.verify(await sign());
    expect([next.encryptionKid, next.kid]).toEqual([successor, verified.kid]);
  });

  it('joins a ring in use: tokens are signed until it is ready, and none is refused', async () => {
    const storage = memoryStorage();
    const keys = { encryptionKeys: KEYS[0] ?? null };
    const before = await openIssuer({ storage, keys }, clock);
    const old = await sign(before);
    const encryption = { accept: 'both' } as const;
    const after = await openIssuer({ storage, keys, tokens: { encryption } }, clock);
    const signed = await sign(after);
    expect((await after.tokens.verify(old)).subject).toBe('alice');
    expect((await before.tokens.verify(signed)).subject).toBe('alice');
    clock.advance(DAY);
    const first = await sign(after);
    expect((await after.tokens.verify(first)).encryptionKid).toBe(keyOf(after).kid);
  });

  it('that is not ready issues nothing where signed tokens are refused', () => {
    const keyRing = { encryptionKey: () => null, decryptionKey: () => undefined };
    const refusal = expect.objectContaining({ code: 'ERR_KEY_RING_UNAVAILABLE' });
    const nested = new NestedTokens('encrypted', keyRing);
    expect(() => nested.assertReady()).toThrow(refusal);
    expect(() => nested.seal('a.b.c')).toThrow(refusal);
    expect(new NestedTokens('both', keyRing).seal('a.b.c')).toBe('a.b.c');
  });

  it('of an operator: the first encrypts, all decrypt', async () => {
    const signingKey = exportPrivateJwk(await generateSigningKey('ES256'));
    recordSecret(signingKey.d ?? '');
    const open = (keys: readonly string[]): Promise<Issuer> =>
      openIssuer({ keys: { signingKey }, tokens: { encryption: { keys } } } as object, clock);
    const [old, moving, done] = [
      await open(KEYS.slice(0, 1)),
      await open(KEYS.toReversed()),
      await open(KEYS.slice(1)),
    ];
    const [first, second] = [await sign(old), await sign(moving)];
    expect((await moving.tokens.verify(first)).encryptionKid).toBe(keyOf(old).kid);
    expect((await done.tokens.verify(second)).encryptionKid).toBe(keyOf(done).kid);
    expect(await codeOf(first, done)).toBe('ERR_TOKEN_ENCRYPTION');
    expect(await codeOf(second, old)).toBe('ERR_TOKEN_ENCRYPTION');
    expect(old.keyRing.jwks().keys).toHaveLength(1);
  });
});

describe('tokens.requiredClaims', () => {
  it('are demanded of access tokens, and of no other kind', async () => {
    const demanding = await openIssuer({ tokens: { requiredClaims: ['team'] } }, clock);
    const { tokens } = demanding;
    await expect(tokens.sign({ sub: 'alice' })).rejects.toMatchObject({
      code: 'ERR_CLAIM_INVALID',
    });
    const { token } = await tokens.sign({ sub: 'alice' }, { kind: 'confirmation' });
    recordSecret(token);
    expect((await tokens.verify(token, { kind: 'confirmation' })).subject).toBe('alice');
  });
});

it('an envelope of this service opens with its key alone', async () => {
  const [header = '', ...parts] = partsOf(await sign());
  const [wrappedKey, iv, ciphertext, tag] = parts.map((part) => Buffer.from(part, 'base64url'));
  if (!wrappedKey || !iv || !ciphertext || !tag) throw new Error('it has too few parts');
  const content = openEnvelope(keyOf(issuer), header, { wrappedKey, iv, ciphertext, tag });
  expect(partsOf(content.toString())).toHaveLength(3);
});
