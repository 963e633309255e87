import { KeyError } from '../../lib/kernel/errors.js';
import { algorithmRow, type SigningAlgorithm } from '../../lib/keys/algorithms.js';
import { type KeyRing } from '../../lib/keys/key-ring.js';
import { nextChangeAt } from '../../lib/keys/ring-transitions.js';
import { parseRing, serializeRing } from '../../lib/keys/stored-ring.js';
import { TestClock } from '../support/test-clock.js';
import { CONFIG, openRing } from './opened-ring.js';
import { POLICY } from './ring-mother.js';
import { TroubledStore } from './troubled-store.js';

const OWNER = CONFIG.owner;

type Member = string | number | boolean | null | object | undefined;
type StoredKey = Record<string, Member>;

/** The text of a ring with a key in every phase: verifying, signing, published. */
async function ringOfAllPhases(algorithm: SigningAlgorithm = 'ES256'): Promise<string> {
  const store = new TroubledStore();
  const clock = new TestClock();
  const { service } = await openRing(store, clock, { algorithms: [algorithm] });
  await service.rotate();
  clock.advance(CONFIG.publishAhead);
  await service.signingKey();
  await service.rotate();
  await service.onModuleDestroy();
  return store.stored?.ring ?? '';
}

let text: string;

beforeAll(async () => {
  text = await ringOfAllPhases();
});

/** The ring with one of its keys changed; a member that is `undefined` is left out. */
function withKey(index: 0 | 1 | 2, change: StoredKey): string {
  const ring = JSON.parse(text) as { keys: StoredKey[] };
  ring.keys[index] = { ...ring.keys[index], ...change };
  return JSON.stringify(ring);
}

function withMember(index: 0 | 1 | 2, jwk: 'publicJwk' | 'privateJwk', change: StoredKey): string {
  const { keys } = JSON.parse(text) as { keys: StoredKey[] };
  return withKey(index, { [jwk]: { ...(keys[index]?.[jwk] as object), ...change } });
}

const keysOf = (ring: string): StoredKey[] => (JSON.parse(ring) as { keys: StoredKey[] }).keys;
const kidOf = (index: number): string => keysOf(text)[index]?.['kid'] as string;
const only = (...indices: number[]): string =>
  JSON.stringify({ ...JSON.parse(text), keys: indices.map((index) => keysOf(text)[index]) });
const withRing = (change: StoredKey): string => JSON.stringify({ ...JSON.parse(text), ...change });

describe('a stored ring', () => {
  it.each(['ES256', 'Ed25519'] as const)(
    'of %s keys comes back as it was, with a key in every phase',
    async (algorithm) => {
      const ring = parseRing(await ringOfAllPhases(algorithm), OWNER);
      expect(ring.keys.map(({ phase }) => phase)).toEqual(['verifying', 'signing', 'published']);
      expect(parseRing(serializeRing(ring, OWNER), OWNER)).toEqual(ring);
      expect(Number.isFinite(nextChangeAt(ring, { ...POLICY, algorithms: [algorithm] }))).toBe(
        true,
      );
    },
  );

  it('comes back with public parts that hold nothing else', () => {
    const { publicMembers } = algorithmRow('ES256');
    for (const { publicJwk } of parseRing(text, OWNER).keys) {
      const names = Object.keys(publicJwk).toSorted();
      expect(names).toEqual([...publicMembers, 'alg', 'kid', 'use'].toSorted());
    }
  });
});

/** The ring with compromised keys, each wrong in its own way. */
const withCompromised = (...changes: readonly StoredKey[]): string =>
  withRing({
    compromised: changes.map((change) => ({
      kid: 'gone',
      algorithm: 'ES256',
      compromisedAt: 0,
      forgottenAt: 1,
      ...change,
    })),
  });

const CORRUPTIONS: readonly (readonly [rule: string, corrupt: () => string])[] = [
  ['nothing', () => ''],
  ['garbage', () => '\u0000\u0001\u0002'],
  ['half of it', () => text.slice(0, text.length / 2)],
  ['text after it', () => `${text}{}`],
  ['a byte order mark', () => `\ufeff${text}`],
  ['null', () => 'null'],
  ['a list', () => '[]'],
  ['an object', () => '{}'],
  ['keys that are no list', () => withRing({ keys: { length: 1 } })],
  ['keys that are null', () => withRing({ keys: null })],
  ['no list of keys', () => withRing({ keys: undefined })],
  ['no keys: a stored ring began with one', () => withRing({ keys: [] })],
  ['a key that is null', () => withRing({ keys: [null] })],
  ['a key that is a text', () => withRing({ keys: ['ES256'] })],
  ['no issuer', () => withRing({ issuer: undefined })],
  ['another issuer', () => withRing({ issuer: 'https://issuer.example/' })],
  ['an issuer in capitals', () => withRing({ issuer: 'https://ISSUER.example' })],
  ['an issuer in a list', () => withRing({ issuer: [OWNER.issuer] })],
  ['no list of compromised keys', () => withRing({ compromised: undefined })],
  ['compromised keys that are no list', () => withRing({ compromised: {} })],
  ['a compromised key that is null', () => withRing({ compromised: [null] })],
  ['a compromised key without a kid', () => withCompromised({ kid: undefined })],
  ['a compromised key with a kid no header should carry', () => withCompromised({ kid: 'a b' })],
  ['a compromised key of no algorithm', () => withCompromised({ algorithm: 'none' })],
  ['a compromised key that is never forgotten', () => withCompromised({ forgottenAt: undefined })],
  ['a compromised key of no instant', () => withCompromised({ compromisedAt: null })],
  ['a compromised key that still signs', () => withCompromised({ kid: kidOf(1) })],
  ['a compromised key that still verifies', () => withCompromised({ kid: kidOf(0) })],
  ['a key compromised twice', () => withCompromised({}, {})],
  ['a member twice', () => text.replace('"keys":', '"keys":[],"keys":')],
  ['__proto__', () => text.replace('"keys":', '"__proto__":{},"keys":')],
  ['former keys alone', () => only(0)],
  ['a successor alone', () => only(2)],
  ['a former key and a successor', () => only(0, 2)],
  ['one key twice (scenario S022)', () => only(0, 1, 1)],
  ['two signing keys', () => withKey(2, { phase: 'signing', signingSince: 0 })],
  ['two successors', () => only(1, 2).replace('"signing"', '"published"')],
  ['an unknown phase', () => withKey(1, { phase: 'resting' })],
  ['a phase in capitals', () => withKey(1, { phase: 'SIGNING' })],
  ['no phase', () => withKey(1, { phase: undefined })],
  ['a phase the ring never stores', () => withKey(0, { phase: 'retired' })],
  ['an algorithm that is not on offer', () => withKey(1, { algorithm: 'HS512' })],
  ['the algorithm of a shared secret', () => withKey(1, { algorithm: 'HS256' })],
  ['an algorithm other than that of its JWK', () => withKey(1, { algorithm: 'ES384' })],
  ['no algorithm', () => withKey(1, { algorithm: undefined })],
  ['a kid no header should carry', () => text.replaceAll(kidOf(1), 'a b')],
  ['a kid other than that of its JWK', () => withKey(1, { kid: 'other' })],
  ['no kid', () => withKey(1, { kid: undefined })],
  ['no public JWK', () => withKey(1, { publicJwk: undefined })],
  ['a public JWK that is a text', () => withKey(1, { publicJwk: 'ES256' })],
  ['a public JWK without alg', () => withMember(1, 'publicJwk', { alg: undefined })],
  ['a public JWK of another alg', () => withMember(1, 'publicJwk', { alg: 'RS256' })],
  ['a public JWK for encryption', () => withMember(1, 'publicJwk', { use: 'enc' })],
  ['a private member in a public JWK', () => withMember(0, 'publicJwk', { d: 'c2VjcmV0' })],
  ['a member of a public JWK nobody asked for', () => withMember(1, 'publicJwk', { x5u: 'x' })],
  ['a number in a public JWK', () => withMember(1, 'publicJwk', { x: 1 })],
  ['a signing key without its private JWK', () => withKey(1, { privateJwk: undefined })],
  ['a signing key whose private JWK is a text', () => withKey(1, { privateJwk: 'null' })],
  ['a signing key without d', () => withMember(1, 'privateJwk', { d: undefined })],
  ['a signing key whose d is a number', () => withMember(1, 'privateJwk', { d: 1 })],
  ['a successor without its private JWK', () => withKey(2, { privateJwk: undefined })],
  ['a private JWK with another kid', () => withMember(1, 'privateJwk', { kid: 'other' })],
  ['a private JWK of another alg', () => withMember(1, 'privateJwk', { alg: 'ES384' })],
  [
    'a former key that kept its private JWK',
    () => withKey(0, { privateJwk: keysOf(text)[1]?.['privateJwk'] }),
  ],
  ['no instant of publication', () => withKey(1, { publishedAt: undefined })],
  ['a successor that does not say from when it signs', () => withKey(2, { signsFrom: undefined })],
  ['a signing key that does not say since when', () => withKey(1, { signingSince: null })],
  ['a former key that never leaves', () => withKey(0, { retiresAt: undefined })],
  ['an instant written as text', () => withKey(0, { retiresAt: '2026-11-22' })],
  ['an instant no Date can hold', () => withKey(2, { signsFrom: 8.64e15 + 1 })],
  ['an infinite instant', () => text.replace(/"retiresAt":\d+/, '"retiresAt":1e400')],
];

describe('a stored ring is refused, with a reason and without a secret, that is or has', () => {
  it.each(CORRUPTIONS)('%s', (_rule, corrupt) => {
    const stored = corrupt();
    expect(stored).not.toBe(text);
    const read = (): KeyRing => parseRing(stored, OWNER);
    expect(read).toThrow(KeyError);
    expect(read).toThrow(expect.objectContaining({ code: 'ERR_KEY_RING_CORRUPT' }));
    const secrets = keysOf(text).flatMap(({ privateJwk }) =>
      typeof privateJwk === 'object' && privateJwk !== null && 'd' in privateJwk
        ? [String(privateJwk.d)]
        : [],
    );
    expect(secrets).toHaveLength(2);
    for (const secret of secrets) {
      expect(read).not.toThrow(expect.objectContaining({ stack: expect.stringContaining(secret) }));
    }
  });
});

describe('an instance that finds a ring it cannot read (SEMANTICS 2: fails closed)', () => {
  /** The ring with members of a JWK taken from a key of another ring. */
  const crossed = async (
    index: 1 | 2,
    jwk: 'publicJwk' | 'privateJwk',
    ...names: readonly string[]
  ): Promise<string> => {
    const stranger = Object.entries(keysOf(await ringOfAllPhases())[1]?.[jwk] ?? {});
    const members = stranger.filter(([name]) => names.includes(name));
    expect(members).toHaveLength(names.length);
    return withMember(index, jwk, Object.fromEntries(members));
  };
  const UNUSABLE: readonly (readonly [rule: string, corrupt: () => string | Promise<string>])[] = [
    ['garbage', () => 'garbage'],
    ['no keys', () => withRing({ keys: [] })],
    ['a key in a vault nobody configured', () => withKey(1, { privateJwk: null })],
    ['a successor in a vault nobody configured', () => withKey(2, { privateJwk: null })],
    ['a ring of another issuer', () => withRing({ issuer: 'https://other.example' })],
    ['former keys alone', () => only(0)],
    ['one kid twice', () => only(1, 1)],
    [
      'a signing key that is no point of its curve',
      () => withMember(1, 'publicJwk', { x: 'AAAA' }),
    ],
    ['a former key that is no point of its curve', () => withMember(0, 'publicJwk', { y: 'AAAA' })],
    ['a private part that is no number', () => withMember(1, 'privateJwk', { d: '!!!!' })],
    ['a private part of 0', () => withMember(1, 'privateJwk', { d: 'A'.repeat(43) })],
    ['the private part of another key', () => crossed(1, 'privateJwk', 'd')],
    ['the private part of another key in its successor', () => crossed(2, 'privateJwk', 'd')],
    ['the public part of another key', () => crossed(1, 'publicJwk', 'x', 'y')],
  ];
  const moments: readonly (readonly [name: string, wait: number])[] = [
    ['while nothing is due', 0],
    ['when a change is overdue', 400 * CONFIG.publishAhead],
  ];

  it.each(
    moments.flatMap(([moment, wait]) => UNUSABLE.map((row) => [moment, wait, ...row] as const)),
  )('%s (+%d ms) does not start, nor touch it: %s', async (_moment, wait, _rule, corrupt) => {
    const store = new TroubledStore();
    const clock = new TestClock();
    clock.advance(CONFIG.publishAhead + wait);
    store.put({ version: 7, ring: await corrupt() });
    await expect(openRing(store, clock)).rejects.toBeInstanceOf(KeyError);
    expect(store.attempts).toBe(0);
    expect(store.stored?.version).toBe(7);
  });

  it.each(UNUSABLE)(
    'while it runs goes on with its keys, says so, and recovers: %s',
    async (...row) => {
      const [, corrupt] = row;
      const store = new TroubledStore();
      const clock = new TestClock();
      clock.advance(CONFIG.publishAhead);
      const { service, heard } = await openRing(store, clock);
      const { kid } = await service.signingKey();
      const healthy = store.stored;
      store.put({ version: 7, ring: await corrupt() });
      await service.refresh();
      expect((await service.signingKey()).kid).toBe(kid);
      expect(service.verificationKey(kid)).toBeDefined();
      expect(heard.filter(({ type }) => type.startsWith('key.un'))).toHaveLength(1);
      expect(store.stored?.version).toBe(7);
      const repaired = { version: 8, ring: healthy?.ring ?? '' };
      store.put(repaired);
      await service.refresh();
      await expect(service.rotate()).resolves.toHaveProperty('kid');
      expect(store.stored?.version).toBe(9);
    },
  );
});
