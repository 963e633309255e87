import { randomBytes } from 'node:crypto';
import { stat } from 'node:fs/promises';

import type { EncryptionKey } from '../../lib/keys/encryption-key.js';
import { openEnvelope, sealEnvelope } from '../../lib/keys/envelope.js';
import { keyEncryptionKey, KeyProtector } from '../../lib/keys/key-protector.js';
import type { KeysConfig } from '../../lib/keys/key-ring.service.js';
import { TestClock } from '../support/test-clock.js';
import { CONFIG, keyEventsOf, type OpenedRing, openRing, privateValuesIn } from './opened-ring.js';
import { DAY, HOUR } from './ring-mother.js';
import { TestVault } from './test-vault.js';
import { TroubledStore } from './troubled-store.js';

/** Keys to encrypt with, in the same ring as those that sign, and through the same phases. */

let clock: TestClock;
let store: TroubledStore;

beforeEach(() => {
  clock = new TestClock();
  store = new TroubledStore();
});

const ENCRYPTION = { staticKeys: [], encryptsAfter: CONFIG.publishAhead };

const open = (config: Partial<KeysConfig> = {}): Promise<OpenedRing> =>
  openRing(store, clock, { encryption: ENCRYPTION, ...config });
const openWithout = (config: Partial<KeysConfig> = {}): Promise<OpenedRing> =>
  openRing(store, clock, config);

function encrypting({ service }: OpenedRing): EncryptionKey {
  const key = service.encryptionKey();
  if (key === null) throw new Error('no key encrypts');
  return key;
}

const phasesOf = ({ service }: OpenedRing): readonly string[] =>
  service.keys().flatMap(({ use, phase }) => (use === 'enc' ? [phase] : []));

/** Moves what is due, as a request to sign would. */
async function settle(ring: OpenedRing): Promise<void> {
  await ring.service.signingKey();
}

describe('a ring that encrypts', () => {
  it('has one key for it from the start, which every instance decrypts with', async () => {
    const [one, two] = [await open(), await open()];
    const key = encrypting(one);
    expect(encrypting(two).kid).toBe(key.kid);
    const sealed = sealEnvelope(key, 'header', Buffer.from('content'));
    const theirs = two.service.decryptionKey(key.kid);
    if (theirs === undefined) throw new Error('it has no such key');
    expect(openEnvelope(theirs, 'header', sealed).toString()).toBe('content');
    expect(one.service.keys().map(({ algorithm, use, phase }) => [algorithm, use, phase])).toEqual([
      ['ES256', 'sig', 'signing'],
      ['A256KW', 'enc', 'signing'],
    ]);
  });

  it('neither publishes that key, nor signs or verifies with it, nor decrypts with one that signs', async () => {
    const ring = await open();
    const { kid } = encrypting(ring);
    const signing = await ring.service.signingKey();
    expect(ring.service.jwks().keys.map((jwk) => jwk.kid)).toEqual([signing.kid]);
    expect(ring.service.jwks().body).not.toContain(kid);
    expect(ring.service.verificationKey(kid)).toBeUndefined();
    expect(ring.service.decryptionKey(signing.kid)).toBeUndefined();
    await expect(ring.service.signingKey('A256KW' as 'ES256')).rejects.toMatchObject({
      code: 'ERR_KEY_RING_UNAVAILABLE',
    });
    for (const name of ['', '__proto__', 'constructor', `${kid}.1`]) {
      expect(ring.service.decryptionKey(name)).toBeUndefined();
    }
  });

  it('publishes each successor for the publish-ahead time, and decrypts for the retention time', async () => {
    const ring = await open();
    const first = encrypting(ring);
    const { signsFrom } = await ring.service.rotate();
    expect(phasesOf(ring)).toEqual(['signing', 'published']);
    expect(encrypting(ring)).toBe(first);
    const [, successor] = ring.service.keys().filter(({ use }) => use === 'enc');
    // What another instance may encrypt with by now is known here already.
    expect(ring.service.decryptionKey(successor?.kid ?? '')).toBeDefined();

    clock.set(signsFrom.getTime());
    await settle(ring);
    expect(encrypting(ring).kid).toBe(successor?.kid);
    expect(phasesOf(ring)).toEqual(['verifying', 'signing']);
    expect(ring.service.decryptionKey(first.kid)).toBe(first);

    clock.advance(CONFIG.retainFor - 1);
    await settle(ring);
    expect(ring.service.decryptionKey(first.kid)).toBe(first);
    clock.advance(1);
    expect(ring.service.decryptionKey(first.kid)).toBeUndefined();
    await settle(ring);
    expect(phasesOf(ring)).toEqual(['signing']);
  });

  it('is stored sealed: no byte of a key in clear, in any phase', async () => {
    const protector = new KeyProtector([await keyEncryptionKey(randomBytes(32))]);
    const ring = await open({ protector });
    await ring.service.rotate();
    clock.advance(CONFIG.publishAhead);
    await settle(ring);
    const opened = await Promise.all(store.rings.map((text) => protector.open(text)));
    const secrets = opened.flatMap(privateValuesIn);
    expect(phasesOf(ring)).toEqual(['verifying', 'signing']);
    expect(secrets.length).toBeGreaterThanOrEqual(4);
    for (const text of store.rings) {
      expect(secrets.filter((secret) => text.includes(secret))).toEqual([]);
    }
  });

  it('says what it does with them in the same events', async () => {
    const ring = await open();
    const { kid } = encrypting(ring);
    expect(keyEventsOf(ring)).toContain(`key.signing ${kid}`);
    await ring.service.compromise(kid);
    expect(ring.heard).toContainEqual({
      type: 'key.compromised',
      at: new Date(clock.now()),
      kid,
      algorithm: 'A256KW',
    });
  });
});

describe('a compromised key to encrypt with', () => {
  it.each(['signing', 'published', 'verifying'] as const)(
    'decrypts nothing any more, though it was %s; what signs goes on',
    async (phase) => {
      const ring = await open();
      await ring.service.rotate();
      clock.advance(CONFIG.publishAhead);
      await settle(ring);
      await ring.service.rotate();
      const key = ring.service.keys().find((one) => one.use === 'enc' && one.phase === phase);
      const kid = key?.kid ?? '';
      const signing = (await ring.service.signingKey()).kid;
      const before = encrypting(ring).kid;

      expect(await ring.service.compromise(kid, { dryRun: true })).toMatchObject({ kid, phase });
      expect(ring.service.decryptionKey(kid)).toBeDefined();
      const answer = await ring.service.compromise(kid);
      expect(ring.service.decryptionKey(kid)).toBeUndefined();
      expect((await open()).service.decryptionKey(kid)).toBeUndefined();
      expect((await ring.service.signingKey()).kid).toBe(signing);
      expect(encrypting(ring).kid === before).toBe(phase !== 'signing');
      expect(answer.successor).toBe(phase === 'signing' ? encrypting(ring).kid : null);
    },
  );

  it('without a successor gets one at once', async () => {
    const ring = await open();
    const { kid } = encrypting(ring);
    const { successor } = await ring.service.compromise(kid);
    expect(encrypting(ring).kid).toBe(successor);
    expect(successor).not.toBe(kid);
    expect(await ring.service.compromise(kid)).toMatchObject({ phase: 'compromised' });
    expect(encrypting(ring).kid).toBe(successor);
  });
});

describe('a ring in use', () => {
  it('gets a key to encrypt with, which is published before it encrypts', async () => {
    const old = await openWithout();
    const { kid } = await old.service.signingKey();
    const ring = await open();
    expect(ring.service.encryptionKey()).toBeNull();
    expect(phasesOf(ring)).toEqual(['published']);
    expect((await ring.service.signingKey()).kid).toBe(kid);

    clock.advance(CONFIG.publishAhead - 1);
    await settle(ring);
    expect(ring.service.encryptionKey()).toBeNull();
    clock.advance(1);
    await settle(ring);
    expect(encrypting(ring).kid).toBe(ring.service.keys().find(({ use }) => use === 'enc')?.kid);
    expect((await ring.service.signingKey()).kid).toBe(kid);
  });

  it('gets it as soon as it may, where nothing else is accepted', async () => {
    await openWithout();
    const ring = await open({ encryption: { staticKeys: [], encryptsAfter: 15_000 } });
    expect(ring.service.encryptionKey()).toBeNull();
    clock.advance(15_000);
    await settle(ring);
    expect(phasesOf(ring)).toEqual(['signing']);
    // Its successors are published as long as any other.
    await ring.service.rotate();
    clock.advance(CONFIG.publishAhead - 1);
    await settle(ring);
    expect(phasesOf(ring)).toEqual(['signing', 'published']);
  });

  it('keeps it through a rolling deployment, whichever instance looks', async () => {
    const old = await openWithout();
    const ring = await open({ encryption: { staticKeys: [], encryptsAfter: 0 } });
    clock.advance(1);
    await settle(ring);
    const { kid } = encrypting(ring);
    for (let hour = 0; hour < 48; hour++, clock.advance(HOUR)) {
      await old.service.refresh();
      await ring.service.refresh();
      expect(encrypting(ring).kid).toBe(kid);
      expect(old.service.encryptionKey()).toBeNull();
    }
  });

  it('gives it up when nobody encrypts any more, and keeps what it needs to decrypt', async () => {
    const before = await open();
    const { kid } = encrypting(before);
    await before.service.onModuleDestroy();
    const ring = await openWithout();
    clock.advance(CONFIG.rotateEvery + CONFIG.publishAhead - 1);
    await ring.service.refresh();
    expect(phasesOf(ring)).toEqual(['signing']);
    clock.advance(1);
    await ring.service.refresh();
    expect(phasesOf(ring)).toEqual(['verifying']);
    expect(ring.service.decryptionKey(kid)).toBeDefined();
    clock.advance(CONFIG.retainFor);
    await ring.service.refresh();
    expect(phasesOf(ring)).toEqual([]);
  });

  it('is never without a key that signs because one encrypts', async () => {
    await open({ algorithms: ['ES256'] });
    const ring = await open({ algorithms: ['ES384'] });
    const key = await ring.service.signingKey();
    // Until one of ES384 was public long enough, the old one signs: not the one that encrypts.
    expect(key.row.name).toBe('ES256');
  });
});

describe('a ring whose keys lie in a vault', () => {
  it('has those to encrypt with here, sealed, and asks the vault for none', async () => {
    const vault = new TestVault();
    const protector = new KeyProtector([await keyEncryptionKey(randomBytes(32))]);
    const ring = await open({ vault, protector });
    const { kid } = encrypting(ring);
    expect(vault.made).toHaveLength(1);
    expect(vault.made).not.toContain(kid);
    await ring.service.rotate();
    clock.advance(CONFIG.publishAhead);
    await settle(ring);
    await ring.service.compromise(encrypting(ring).kid);
    for (let turn = 0; turn < 40; turn++) await stat(__filename);
    expect(vault.made).toHaveLength(2);
    // Of what it destroyed, all had been made there.
    expect(vault.destroyed.filter((one) => !vault.made.includes(one))).toEqual([]);
    expect(ring.heard.map(({ type }) => type)).not.toContain('key.undestroyed');
    const values = (await Promise.all(store.rings.map((text) => protector.open(text)))).flatMap(
      privateValuesIn,
    );
    expect(values.length).toBeGreaterThan(0);
    expect((await open({ vault, protector })).service.decryptionKey(kid)).toBeDefined();
  });
});

describe('four instances on one store', () => {
  it('lose no token through 40 rotations: what one encrypted, all decrypt while it lives', async () => {
    const config = { rotateEvery: 4 * HOUR, publishAhead: HOUR, retainFor: HOUR };
    const lifetime = HOUR - 60_000;
    const rings = await Promise.all(Array.from({ length: 4 }, () => open(config)));
    const live: { readonly kid: string; readonly until: number }[] = [];
    const seen = new Set<string>();
    const met = new Set(rings.flatMap(({ service }) => service.keys().map(({ kid }) => kid)));
    for (let minute = 0; seen.size <= 40; minute += 7, clock.advance(7 * 60_000)) {
      const turn = rings[(minute / 7) % rings.length];
      if (turn === undefined) throw new Error('there is no such instance');
      // One instance looks at a time; the others go by what they were told.
      await settle(turn);
      const key = encrypting(turn);
      // Every key was in the ring before the one who encrypts with it now looked.
      expect(met).toContain(key.kid);
      for (const { kid } of turn.service.keys()) met.add(kid);
      seen.add(key.kid);
      const sealed = sealEnvelope(key, 'header', Buffer.from('content'));
      live.push({ kid: key.kid, until: clock.now() + lifetime });
      while ((live[0]?.until ?? Infinity) < clock.now()) live.shift();
      for (const { service } of rings) {
        const lost = live.filter(({ kid }) => service.decryptionKey(kid) === undefined);
        expect(lost).toEqual([]);
        const theirs = service.decryptionKey(key.kid) as EncryptionKey;
        expect(openEnvelope(theirs, 'header', sealed).toString()).toBe('content');
      }
    }
    expect(clock.now()).toBeGreaterThan(Date.UTC(2026, 10, 22) + 6 * DAY);
  });

  it('make one key to encrypt with when they all start at once', async () => {
    const rings = await Promise.all(Array.from({ length: 8 }, () => open()));
    expect(new Set(rings.map((ring) => encrypting(ring).kid)).size).toBe(1);
    expect(phasesOf(rings[0] as OpenedRing)).toEqual(['signing']);
  });
});

type Change = Readonly<Record<string, unknown>>;

/** The stored ring after a rotation, with members of a key to encrypt with changed. */
async function storedWith(phase: string, change: Change, jwk: Change = {}): Promise<string> {
  const ring = await open();
  await ring.service.rotate();
  clock.advance(CONFIG.publishAhead);
  await settle(ring);
  const secrets = { signing: 'privateJwk', verifying: 'sharedSecret' } as const;
  const parsed = JSON.parse(store.stored?.ring ?? '') as { keys: Record<string, unknown>[] };
  const keys = parsed.keys.map((key) => {
    if (key['algorithm'] !== 'A256KW' || key['phase'] !== phase) return key;
    const member = secrets[phase as keyof typeof secrets];
    const changed = { ...key, [member]: { ...(key[member] as object), ...jwk }, ...change };
    return JSON.parse(JSON.stringify(changed)) as Record<string, unknown>;
  });
  return JSON.stringify({ ...parsed, keys });
}

describe('a stored key to encrypt with', () => {
  const SIGNING_JWK = { kty: 'oct', kid: 'a', alg: 'A256KW', use: 'sig' };

  it.each<readonly [string, string, Change, Change]>([
    ['no secret, as if a vault had it', 'signing', { privateJwk: null }, {}],
    ['a secret without its bytes', 'signing', {}, { k: undefined }],
    ['a secret that is too short', 'signing', {}, { k: 'AAAA' }],
    ['a secret for signatures', 'signing', {}, { use: 'sig' }],
    ['a secret of another algorithm', 'signing', {}, { alg: 'HS256' }],
    ['a secret of another kid', 'signing', {}, { kid: 'other' }],
    ['an algorithm that signs', 'signing', { algorithm: 'HS256' }, {}],
    ['an algorithm nobody knows', 'signing', { algorithm: 'A128KW' }, {}],
    ['a public part for signatures', 'signing', { publicJwk: SIGNING_JWK }, {}],
    ['no public part', 'signing', { publicJwk: undefined }, {}],
    ['no secret any more, while it has to decrypt', 'verifying', { sharedSecret: undefined }, {}],
    ['its secret under two names', 'verifying', { privateJwk: {} }, {}],
  ])('with %s makes the ring unusable', async (_, phase, change, jwk) => {
    store.put({ version: 100, ring: await storedWith(phase, change, jwk) });
    await expect(open()).rejects.toMatchObject({
      code: expect.stringMatching(/^ERR_KEY_(RING_CORRUPT|INVALID)$/),
    });
  });

  it('is taken as it was stored', async () => {
    store.put({ version: 100, ring: await storedWith('signing', {}) });
    expect(phasesOf(await open())).toEqual(['verifying', 'signing']);
  });
});
