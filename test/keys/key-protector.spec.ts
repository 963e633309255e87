import { createHash, createSecretKey, randomBytes } from 'node:crypto';

import { CompactEncrypt, type CompactJWEHeaderParameters } from 'jose';

import { KeyError } from '../../lib/kernel/errors.js';
import {
  type KeyEncryptionKey,
  keyEncryptionKey,
  KeyProtector,
} from '../../lib/keys/key-protector.js';
import { parseRing, serializeRing } from '../../lib/keys/stored-ring.js';
import { freshKey } from './ring-mother.js';

const RING = JSON.stringify({ keys: ['a ring, as far as sealing goes'] });

let first: KeyEncryptionKey;
let second: KeyEncryptionKey;

beforeAll(async () => {
  first = await keyEncryptionKey(randomBytes(32));
  second = await keyEncryptionKey(randomBytes(32));
});

async function refusal(attempt: Promise<unknown>): Promise<KeyError> {
  const outcome: unknown = await attempt.then(
    () => new Error('it was opened'),
    (error: unknown) => error,
  );
  if (outcome instanceof KeyError) return outcome;
  throw outcome instanceof Error ? outcome : new Error('it failed with something else');
}

const headerOf = (sealed: string): object =>
  JSON.parse(Buffer.from(sealed.split('.')[0] ?? '', 'base64url').toString()) as object;

const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** Whether two texts say the same bytes: the last character of a part can hold bits nobody reads. */
function isSameBytes(one: string, other: string): boolean {
  const [parts, others] = [one, other].map((text) => text.split('.'));
  return (parts ?? []).every((part, index) =>
    Buffer.from(part, 'base64url').equals(Buffer.from(others?.[index] ?? '', 'base64url')),
  );
}

describe('a sealed ring', () => {
  it('opens as it was, and shows nothing of it', async () => {
    const protector = new KeyProtector([first]);
    const sealed = await protector.seal(RING);
    expect(sealed).not.toContain('sealing');
    expect(Buffer.from(sealed.replaceAll('.', ''), 'base64url').toString('latin1')).not.toContain(
      'sealing',
    );
    expect(await protector.open(sealed)).toBe(RING);
    expect(protector.isClear).toBe(false);
  });

  it('is a JWE with a fresh content key, that names its key and what it is', async () => {
    const protector = new KeyProtector([first]);
    const [one, other] = [await protector.seal(RING), await protector.seal(RING)];
    expect(headerOf(one)).toMatchObject({
      alg: 'A256GCMKW',
      enc: 'A256GCM',
      typ: 'key-ring+jwe',
      kid: first.kid,
    });
    // Wrapped key, nonce and text: equal ones would mean that randomness failed.
    const parts = [one, other].map((sealed) => sealed.split('.').slice(1));
    for (const [index, part] of (parts[0] ?? []).entries())
      expect(part).not.toBe(parts[1]?.[index]);
    expect(headerOf(one)).not.toEqual(headerOf(other));
  });

  it('names its key by a digest, not by the key', async () => {
    const bytes = randomBytes(32);
    const { kid } = await keyEncryptionKey(bytes);
    expect(Buffer.from(kid, 'base64url')).toHaveLength(32);
    expect(kid).not.toBe(bytes.toString('base64url'));
    expect((await keyEncryptionKey(bytes)).kid).toBe(kid);
  });

  it('of a megabyte is a ring like any other', async () => {
    const protector = new KeyProtector([first]);
    const big = JSON.stringify({ keys: 'k'.repeat(1_000_000) });
    expect(await protector.open(await protector.seal(big))).toBe(big);
  });
});

describe('a list of key-encryption keys', () => {
  it('seals with the first and opens with each, so that one can follow another', async () => {
    const before = await new KeyProtector([first]).seal(RING);
    const both = new KeyProtector([second, first]);
    expect(await both.open(before)).toBe(RING);
    expect(both.isNewest(before)).toBe(false);
    const after = await both.seal(RING);
    expect(headerOf(after)).toMatchObject({ kid: second.kid });
    expect(both.isNewest(after)).toBe(true);
    expect(await new KeyProtector([second]).open(after)).toBe(RING);
    expect((await refusal(new KeyProtector([first]).open(after))).code).toBe(
      'ERR_KEY_RING_UNREADABLE',
    );
  });

  it('begins with null: seals nothing, and still opens what was sealed', async () => {
    const protector = new KeyProtector([null, first]);
    expect(protector.isClear).toBe(true);
    expect(await protector.seal(RING)).toBe(RING);
    const sealed = await new KeyProtector([first]).seal(RING);
    expect(await protector.open(sealed)).toBe(RING);
    expect([protector.isNewest(RING), protector.isNewest(sealed)]).toEqual([true, false]);
  });

  it('ends with null: seals, and opens a ring that lies in clear from before', async () => {
    const protector = new KeyProtector([first, null]);
    expect(protector.isClear).toBe(false);
    expect(await protector.open(RING)).toBe(RING);
    expect(protector.isNewest(RING)).toBe(false);
    expect(headerOf(await protector.seal(RING))).toMatchObject({ kid: first.kid });
  });

  it('without null does not believe a ring in clear, which anyone could have written', async () => {
    const error = await refusal(new KeyProtector([first, second]).open(RING));
    expect(error.code).toBe('ERR_KEY_RING_UNREADABLE');
    expect(error.message).toContain('it is not sealed');
  });

  it('of null alone opens nothing that is sealed', async () => {
    const sealed = await new KeyProtector([first]).seal(RING);
    expect((await refusal(new KeyProtector([null]).open(sealed))).code).toBe(
      'ERR_KEY_RING_UNREADABLE',
    );
  });
});

describe('what somebody did to a sealed ring', () => {
  it('is noticed wherever one character differs', async () => {
    const protector = new KeyProtector([first]);
    const sealed = await protector.seal(RING);
    const outcomes = new Set<string>();
    for (let at = 0; at < sealed.length; at++) {
      const flipped = sealed.charAt(at) === 'A' ? 'B' : 'A';
      const tampered = sealed.slice(0, at) + flipped + sealed.slice(at + 1);
      const outcome = await protector
        .open(tampered)
        .then((text) => (text === RING && isSameBytes(tampered, sealed) ? 'same bytes' : text))
        .catch((error: unknown) => (error instanceof KeyError ? error.code : 'crashed'));
      outcomes.add(outcome);
    }
    outcomes.delete('same bytes');
    expect([...outcomes]).toEqual(['ERR_KEY_RING_UNREADABLE']);
  });

  it('is noticed wherever it ends early', async () => {
    const protector = new KeyProtector([first]);
    const sealed = await protector.seal(RING);
    for (let length = 0; length < sealed.length; length++) {
      const { code } = await refusal(protector.open(sealed.slice(0, length)));
      expect(code).toBe('ERR_KEY_RING_UNREADABLE');
    }
  });

  const TAMPERINGS: readonly (readonly [rule: string, tamper: (parts: string[]) => string])[] = [
    ['a part less', (parts) => parts.slice(0, 4).join('.')],
    ['a part more', (parts) => [...parts, 'AAAA'].join('.')],
    ['no content key', (parts) => parts.with(1, '').join('.')],
    ['no nonce', (parts) => parts.with(2, '').join('.')],
    ['no text', (parts) => parts.with(3, '').join('.')],
    ['no tag', (parts) => parts.with(4, '').join('.')],
    ['a tag of 4 bytes', (parts) => parts.with(4, (parts[4] ?? '').slice(0, 6)).join('.')],
    ['text and tag swapped', ([a, b, c, d, e]) => [a, b, c, e, d].join('.')],
    ['white space in front', (parts) => ` ${parts.join('.')}`],
    ['nothing', () => ''],
    ['dots', () => '....'],
    ['garbage', () => '\u0000\u0001.\u0002'],
    ['a list', () => '[]'],
    ['clear text after white space', () => ` ${RING}`],
    ['clear text after a byte order mark', () => `\ufeff${RING}`],
    ['ten megabytes of nothing', () => 'A'.repeat(10_000_000)],
    ['a header of a megabyte', (parts) => parts.with(0, 'A'.repeat(1_000_000)).join('.')],
  ];

  it.each(TAMPERINGS)('is refused: %s', async (_rule, tamper) => {
    const protector = new KeyProtector([first]);
    const parts = (await protector.seal(RING)).split('.');
    const error = await refusal(protector.open(tamper(parts)));
    expect(error.code).toBe('ERR_KEY_RING_UNREADABLE');
    expect(error.message.length).toBeLessThan(200);
  });

  it.each([
    ['a line feed at the end', '\n'],
    ['padding', '=='],
  ])('that says the same bytes opens as the same ring, or not at all: %s', async (_rule, more) => {
    const protector = new KeyProtector([first]);
    const outcome: unknown = await protector
      .open((await protector.seal(RING)) + more)
      .catch((error: unknown) => error);
    expect(outcome instanceof KeyError ? RING : outcome).toBe(RING);
  });

  const HEADERS: readonly (readonly [rule: string, change: Record<string, unknown>])[] = [
    ['another kid', { kid: 'other' }],
    ['no kid', { kid: undefined }],
    ['a kid that is a list', { kid: ['a'] }],
    ['direct encryption', { alg: 'dir' }],
    ['plain key wrapping', { alg: 'A256KW' }],
    ['a password', { alg: 'PBES2-HS256+A128KW', p2s: 'AAAAAAAAAAAAAAAA', p2c: 2_147_483_647 }],
    ['no algorithm', { alg: 'none' }],
    ['RSA1_5', { alg: 'RSA1_5' }],
    ['a shorter content key', { enc: 'A128GCM' }],
    ['CBC', { enc: 'A256CBC-HS512' }],
    ['compression', { zip: 'DEF' }],
    ['a critical member', { crit: ['exp'], exp: 1 }],
    ['another type', { typ: 'at+jwt' }],
    ['no type', { typ: undefined }],
  ];

  it.each(HEADERS)('is refused: a header rewritten to %s', async (_rule, change) => {
    const protector = new KeyProtector([first]);
    const sealed = await protector.seal(RING);
    const header = encode({ ...headerOf(sealed), ...change });
    const tampered = [header, ...sealed.split('.').slice(1)].join('.');
    expect((await refusal(protector.open(tampered))).code).toBe('ERR_KEY_RING_UNREADABLE');
  });
});

describe('a JWE that was really made with the key-encryption key', () => {
  const make = (header: object, secret = first.key): Promise<string> =>
    new CompactEncrypt(Buffer.from(RING))
      .setProtectedHeader(header as CompactJWEHeaderParameters)
      .encrypt(secret);

  const sealing = (): object => ({
    alg: 'A256GCMKW',
    enc: 'A256GCM',
    typ: 'key-ring+jwe',
    kid: first.kid,
  });

  it('opens if it is what this package writes', async () => {
    expect(await new KeyProtector([first]).open(await make(sealing()))).toBe(RING);
  });

  it.each([
    ['is of another type: a session cookie, say', { typ: 'session+jwe' }],
    ['has no type', { typ: undefined }],
    ['has the type in capitals', { typ: 'KEY-RING+JWE' }],
    ['has a type that begins like it', { typ: 'key-ring+jwe2' }],
    ['uses the key directly', { alg: 'dir' }],
    ['wraps plainly', { alg: 'A256KW' }],
    ['has a shorter content key', { enc: 'A128GCM' }],
    ['is in CBC', { enc: 'A256CBC-HS512' }],
  ])('is refused if it %s', async (_rule, change) => {
    const sealed = await make({ ...sealing(), ...change });
    const { code } = await refusal(new KeyProtector([first]).open(sealed));
    expect(code).toBe('ERR_KEY_RING_UNREADABLE');
  });

  it('is refused if it names one key and was made with another', async () => {
    const sealed = await make(sealing(), second.key);
    const both = new KeyProtector([first, second]);
    expect((await refusal(both.open(sealed))).code).toBe('ERR_KEY_RING_UNREADABLE');
  });

  it('is refused if its kid is a digest of something else the attacker chose', async () => {
    const own = createSecretKey(createHash('sha256').update('own').digest());
    const sealed = await make({ ...sealing(), kid: 'attacker' }, own);
    expect((await refusal(new KeyProtector([first]).open(sealed))).code).toBe(
      'ERR_KEY_RING_UNREADABLE',
    );
  });
});

describe('the ring of somebody else, sealed under the same key', () => {
  const key = { ...freshKey(), phase: 'signing' as const, publishedAt: 0, signingSince: 0 };
  const ring = { keys: [key], compromised: [] };
  const owner = { issuer: 'https://a.example', environment: 'production' };

  const opened = async (sealedFor: typeof owner, openedBy: typeof owner): Promise<unknown> => {
    const protector = new KeyProtector([first]);
    const sealed = await protector.seal(serializeRing(ring, sealedFor));
    return parseRing(await protector.open(sealed), openedBy);
  };

  it('is taken by its owner', async () => {
    expect(await opened(owner, owner)).toEqual(ring);
  });

  it.each([
    ['another issuer', { issuer: 'https://b.example' }, 'ERR_KEY_RING_CORRUPT'],
    ['an issuer with a slash more', { issuer: 'https://a.example/' }, 'ERR_KEY_RING_CORRUPT'],
    ['another environment', { environment: 'staging' }, 'ERR_KEY_ENVIRONMENT'],
    ['an environment in capitals', { environment: 'PRODUCTION' }, 'ERR_KEY_ENVIRONMENT'],
  ])('is refused by %s', async (_rule, change, code) => {
    const error = await refusal(opened(owner, { ...owner, ...change }));
    expect(error.code).toBe(code);
    expect(error.message).not.toContain('example');
  });
});
