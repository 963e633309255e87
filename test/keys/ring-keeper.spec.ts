import { randomBytes } from 'node:crypto';
import { stat } from 'node:fs/promises';

import { keyEncryptionKey, KeyProtector } from '../../lib/keys/key-protector.js';
import type { KeysConfig } from '../../lib/keys/key-ring.service.js';
import { TestClock } from '../support/test-clock.js';
import { CONFIG, keyEventsOf, type OpenedRing, openRing } from './opened-ring.js';
import { DAY, HOUR } from './ring-mother.js';
import { TroubledStore } from './troubled-store.js';

const SECOND = 1_000;

let clock: TestClock;
let store: TroubledStore;

beforeEach(() => {
  clock = new TestClock();
  store = new TroubledStore();
});

const open = (config: Partial<KeysConfig> = {}): Promise<OpenedRing> =>
  openRing(store, clock, config);

async function settle(): Promise<void> {
  for (let turn = 0; turn < 40; turn++) await stat(__filename);
}

const phases = ({ service }: OpenedRing): readonly string[] =>
  service.keys().map(({ phase, kid }) => `${phase} ${kid}`);
const jwksKids = ({ service }: OpenedRing): readonly string[] =>
  service.jwks().keys.map(({ kid }) => kid);
const signingKid = async ({ service }: OpenedRing): Promise<string> =>
  (await service.signingKey()).kid;
const typesOf = (ring: OpenedRing): readonly string[] => ring.heard.map(({ type }) => type);

/** All of them look at the store until none has anything to say about it. */
async function converge(...rings: readonly OpenedRing[]): Promise<void> {
  for (let round = 0; round < 6; round++) {
    await Promise.all(rings.map(({ service }) => service.refresh()));
    await settle();
  }
}

/** A ring with some history: two versions or more, a successor that is public. */
async function openWithHistory(): Promise<OpenedRing> {
  const ring = await open();
  await ring.service.rotate();
  clock.advance(CONFIG.publishAhead);
  await ring.service.signingKey();
  await ring.service.rotate();
  await settle();
  return ring;
}

describe('a store that was wiped', () => {
  it('gets the ring back as it was, and verifiers notice nothing', async () => {
    const ring = await openWithHistory();
    const before = phases(ring);
    const { etag } = ring.service.jwks();
    store.put(null);
    await converge(ring);
    expect(phases(ring)).toEqual(before);
    expect(ring.service.jwks().etag).toBe(etag);
    expect(store.stored).not.toBeNull();
    expect(phases(await open())).toEqual(before);
    expect(ring.heard).toContainEqual({
      type: 'key.restored',
      at: new Date(clock.now()),
      lost: 'ring',
    });
  });

  it('gets one ring back from 5 instances at once, and one says so', async () => {
    const rings = [await openWithHistory(), await open(), await open(), await open(), await open()];
    const before = phases(await open());
    const stored = store.rings.length;
    store.put(null);
    await converge(...rings);
    for (const ring of rings) expect(phases(ring)).toEqual(before);
    expect(store.rings).toHaveLength(stored + 1);
    expect(rings.flatMap(typesOf).filter((type) => type === 'key.restored')).toHaveLength(1);
  });

  const NUMBERS = ['go on', 'begin anew'] as const;

  it.each(NUMBERS)(
    'whose numbers %s: begun anew, it loses no key of either life',
    async (numbers) => {
      store.numbers = numbers;
      const old = await openWithHistory();
      // One that was public and never signed has left no token behind.
      const known = old.service
        .keys()
        .filter(({ phase }) => phase !== 'published')
        .map(({ kid }) => kid);
      store.announcements = 'lost';
      store.put(null);
      const ignorant = await open();
      const stranger = await signingKid(ignorant);
      expect(known).not.toContain(stranger);
      store.announcements = 'delivered';
      await converge(old, ignorant);
      for (const ring of [old, ignorant]) {
        // Tokens of both lives verify on both instances, and one key signs.
        for (const kid of [...known, stranger]) {
          expect([kid, ring.service.verificationKey(kid)?.kid]).toEqual([kid, kid]);
        }
        expect(ring.service.keys().filter(({ phase }) => phase === 'signing')).toHaveLength(1);
      }
      expect(await signingKid(old)).toBe(await signingKid(ignorant));
      expect(jwksKids(old)).toEqual(jwksKids(ignorant));
    },
  );

  it('keeps no key for longer because it was brought back', async () => {
    const old = await openWithHistory();
    store.announcements = 'lost';
    store.put(null);
    const ignorant = await open();
    const stranger = await signingKid(ignorant);
    await converge(old, ignorant);
    const brought = old.service.keys().filter(({ phase }) => phase === 'verifying');
    expect(brought.length).toBeGreaterThan(1);
    expect([...jwksKids(old)]).toContain(stranger);
    clock.advance(CONFIG.retainFor);
    await converge(old, ignorant);
    for (const { service } of [old, ignorant]) {
      expect(brought.filter(({ kid }) => service.verificationKey(kid) !== undefined)).toEqual([]);
    }
  });
});

describe('a store that fell back to an older ring', () => {
  it('gets the newest back, however much older it is', async () => {
    const ring = await open();
    const first = store.stored;
    for (let round = 0; round < 3; round++) {
      await ring.service.rotate();
      clock.advance(CONFIG.publishAhead);
      await ring.service.signingKey();
    }
    await settle();
    const before = phases(ring);
    const newest = store.stored?.ring;
    store.put(first);
    await converge(ring);
    expect(phases(ring)).toEqual(before);
    expect(store.stored?.ring).toBe(newest);
    const restored = ring.heard.filter(({ type }) => type === 'key.restored');
    expect(restored).toMatchObject([{ lost: 'newest changes' }]);
  });

  it('gets the newest that any of 4 instances knows', async () => {
    const informed = await openWithHistory();
    const behind = [await open(), await open(), await open()];
    await converge(informed, ...behind);
    const older = store.stored;
    store.announcements = 'lost';
    clock.advance(CONFIG.publishAhead);
    const newest = await signingKid(informed);
    await informed.service.rotate();
    store.put(older);
    await converge(...behind);
    await converge(informed, ...behind);
    for (const ring of [informed, ...behind]) {
      expect(ring.service.verificationKey(newest)?.kid).toBe(newest);
      expect(await signingKid(ring)).toBe(newest);
      expect(phases(ring)).toEqual(phases(informed));
    }
  });

  it('is not fought over: once it stands, nobody writes any more', async () => {
    const rings = [await openWithHistory(), await open(), await open()];
    const older = store.stored;
    await rings[0]?.service.rotate();
    await converge(...rings);
    store.put(older === null ? null : { ...older, version: 1 });
    await converge(...rings);
    const { attempts } = store;
    await converge(...rings);
    expect(store.attempts).toBe(attempts);
  });
});

describe('a store whose ring lost keys', () => {
  /** The stored ring after somebody took keys out of it. */
  function without(...kids: readonly string[]): string {
    const ring = JSON.parse(store.stored?.ring ?? '') as { keys: { readonly kid: string }[] };
    return JSON.stringify({ ...ring, keys: ring.keys.filter(({ kid }) => !kids.includes(kid)) });
  }

  it('gets them back for verifying, each until its own time', async () => {
    const ring = await openWithHistory();
    const [former = ''] = ring.service
      .keys()
      .filter(({ phase }) => phase === 'verifying')
      .map(({ kid }) => kid);
    const until =
      ring.service
        .keys()
        .find(({ kid }) => kid === former)
        ?.retiresAt?.getTime() ?? 0;
    store.put({ version: 50, ring: without(former) });
    await converge(ring);
    expect(ring.service.verificationKey(former)?.kid).toBe(former);
    expect(store.stored?.ring).toContain(former);
    clock.set(until);
    expect(ring.service.verificationKey(former)).toBeUndefined();
  });

  it('does not get back what is due to leave within the minute clocks may differ by', async () => {
    const ring = await openWithHistory();
    const former = ring.service.keys().find(({ phase }) => phase === 'verifying');
    clock.set((former?.retiresAt?.getTime() ?? 0) - 30 * SECOND);
    store.put({ version: 50, ring: without(former?.kid ?? '') });
    await converge(ring);
    expect(store.stored?.ring).not.toContain(former?.kid);
  });
});

describe('a compromised key never comes back (SEMANTICS 2)', () => {
  interface Scene {
    readonly ring: OpenedRing;
    readonly gone: string;
    /** What the store held before, with the private part of the key that is now compromised. */
    readonly older: string;
  }

  async function stage(config: Partial<KeysConfig> = {}): Promise<Scene> {
    const ring = await open(config);
    const older = store.stored?.ring ?? '';
    const gone = await signingKid(ring);
    await ring.service.compromise(gone);
    await settle();
    return { ring, gone, older };
  }

  function expectGone({ ring, gone }: Scene): void {
    expect(ring.service.verificationKey(gone)).toBeUndefined();
    expect(jwksKids(ring)).not.toContain(gone);
    const stored = JSON.parse(store.stored?.ring ?? '') as { readonly keys: unknown };
    expect(JSON.stringify(stored.keys)).not.toContain(gone);
  }

  it.each([
    ['at a higher version, as an attacker would', 1_000],
    ['at the version it had', 1],
    ['at the version that stands', 2],
  ])('with an older ring put back %s', async (_rule, version) => {
    const scene = await stage();
    store.put({ version, ring: scene.older });
    await converge(scene.ring);
    expectGone(scene);
    const fresh = await open();
    expect(fresh.service.verificationKey(scene.gone)).toBeUndefined();
    expect(await signingKid(fresh)).not.toBe(scene.gone);
  });

  it('by way of an instance that did not know: it learns it', async () => {
    const scene = await stage();
    store.announcements = 'lost';
    store.put({ version: 1_000, ring: scene.older });
    const ignorant = await open();
    expect(await signingKid(ignorant)).toBe(scene.gone);
    await ignorant.service.rotate();
    await converge(scene.ring, ignorant);
    for (const ring of [scene.ring, ignorant]) expectGone({ ...scene, ring });
    expect(await signingKid(ignorant)).not.toBe(scene.gone);
  });

  it('with a store that was wiped', async () => {
    const scene = await stage();
    store.put(null);
    await converge(scene.ring);
    expectGone(scene);
    expect((await open()).service.keys()).toContainEqual(
      expect.objectContaining({ kid: scene.gone, phase: 'compromised' }),
    );
  });

  it('with a store that was wiped and begun anew, then given the older ring', async () => {
    const scene = await stage();
    store.announcements = 'lost';
    store.put(null);
    const ignorant = await open();
    store.put({ version: 9, ring: scene.older });
    await converge(ignorant);
    await converge(scene.ring, ignorant);
    for (const ring of [scene.ring, ignorant]) expectGone({ ...scene, ring });
  });

  it('while an operator rewraps a ring that fell back', async () => {
    const keys = [await keyEncryptionKey(randomBytes(32)), await keyEncryptionKey(randomBytes(32))];
    const [oldKey = null, newKey = null] = keys;
    const scene = await stage({ protector: new KeyProtector([oldKey]) });
    // The same instance as after a restart with the new key in front; it has seen the compromise.
    const ring = await open({ protector: new KeyProtector([newKey, oldKey]) });
    store.announcements = 'lost';
    store.put({ version: 1, ring: scene.older });
    await ring.service.rewrap();
    await converge(ring);
    expect(ring.service.verificationKey(scene.gone)).toBeUndefined();
    expect(jwksKids(ring)).not.toContain(scene.gone);
    expect(await signingKid(ring)).not.toBe(scene.gone);
  });

  it('although two of one algorithm were compromised one after the other', async () => {
    const scene = await stage();
    const second = await signingKid(scene.ring);
    const between = store.stored?.ring ?? '';
    await scene.ring.service.compromise(second);
    for (const ring of [scene.older, between]) {
      store.put({ version: 500, ring });
      await converge(scene.ring);
      expectGone(scene);
      expectGone({ ...scene, gone: second });
    }
  });
});

describe('a ring nobody can read', () => {
  const UNREADABLE: readonly (readonly [
    rule: string,
    ring: () => Promise<string>,
    code: string,
  ])[] = [
    [
      'sealed under a key nobody has',
      async () => new KeyProtector([await keyEncryptionKey(randomBytes(32))]).seal('{}'),
      'ERR_KEY_RING_UNREADABLE',
    ],
    ['garbage', async () => '{"keys":"garbage"}', 'ERR_KEY_RING_CORRUPT'],
    [
      'of another environment',
      async () => (store.stored?.ring ?? '').replace('"environment":"a"', '"environment":"b"'),
      'ERR_KEY_ENVIRONMENT',
    ],
  ];
  const owner = { ...CONFIG.owner, environment: 'a' };

  it.each(UNREADABLE)(
    '%s: is said once, nothing is made, and the old keys go on',
    async (...row) => {
      const [, ring, code] = row;
      const running = await open({ owner });
      const kid = await signingKid(running);
      const bad = await ring();
      store.put({ version: 9, ring: bad });
      for (let round = 0; round < 10; round++) {
        await running.service.refresh();
        clock.advance(SECOND);
      }
      const said = running.heard.filter(({ type }) => type.startsWith('key.un'));
      expect(said).toEqual([expect.objectContaining({ type: 'key.unreadable', code })]);
      expect(store.stored).toEqual({ version: 9, ring: bad });
      expect(await signingKid(running)).toBe(kid);
      expect(running.service.health()).toMatchObject({ status: 'failing', code });
      await expect(running.service.rotate()).rejects.toMatchObject({ code });
      await expect(running.service.compromise(kid)).rejects.toMatchObject({ code });
      await expect(open({ owner })).rejects.toMatchObject({ code });
      expect(store.stored).toEqual({ version: 9, ring: bad });
    },
  );

  it('holds an instance up no longer than maxLag, then verifies nothing', async () => {
    const running = await open({ maxLag: 5 * SECOND });
    const kid = await signingKid(running);
    store.put({ version: 9, ring: '{"keys":[]}' });
    await running.service.refresh();
    clock.advance(5 * SECOND);
    expect(running.service.verificationKey(kid)?.kid).toBe(kid);
    clock.advance(1);
    expect(() => running.service.verificationKey(kid)).toThrow(
      expect.objectContaining({ code: 'ERR_KEY_RING_STALE' }),
    );
    await expect(running.service.signingKey()).rejects.toMatchObject({
      code: 'ERR_KEY_RING_STALE',
    });
  });
});

describe('an instance that does not hear of the store', () => {
  it('for longer than maxLag refuses, says so once, and comes back by itself', async () => {
    const ring = await open({ maxLag: 5 * SECOND });
    const kid = await signingKid(ring);
    store.trouble = 'load fails';
    await ring.service.refresh();
    clock.advance(5 * SECOND);
    expect(ring.service.verificationKey(kid)?.kid).toBe(kid);
    clock.advance(1);
    for (let request = 0; request < 20; request++) {
      expect(() => ring.service.verificationKey(kid)).toThrow(
        expect.objectContaining({ code: 'ERR_KEY_RING_STALE' }),
      );
    }
    expect(ring.service.health()).toMatchObject({ status: 'stale', lag: 5 * SECOND + 1 });
    expect(typesOf(ring).filter((type) => type === 'key.stale')).toHaveLength(1);

    store.trouble = 'none';
    clock.advance(SECOND);
    // The first request to come is refused, and starts what heals.
    expect(() => ring.service.verificationKey(kid)).toThrow(/not heard of/);
    await settle();
    expect(ring.service.verificationKey(kid)?.kid).toBe(kid);
    expect(typesOf(ring)).toContain('key.available');
    expect(ring.service.health()).toMatchObject({ status: 'ok', code: null });
  });

  it('with onStale acceptWithAlert goes on with what it knows, and says so once', async () => {
    const ring = await open({ maxLag: 5 * SECOND, onStale: 'acceptWithAlert' });
    const kid = await signingKid(ring);
    store.trouble = 'load fails';
    clock.advance(HOUR);
    for (let request = 0; request < 20; request++) {
      expect(ring.service.verificationKey(kid)?.kid).toBe(kid);
    }
    expect(await signingKid(ring)).toBe(kid);
    const stale = ring.heard.filter(({ type }) => type === 'key.stale');
    expect(stale).toMatchObject([{ onStale: 'acceptWithAlert' }]);
  });

  it('refuses a key at the end of its own time also then', async () => {
    const ring = await openWithHistory();
    const former = ring.service.keys().find(({ phase }) => phase === 'verifying');
    store.trouble = 'load fails';
    clock.advance(2 * DAY);
    expect(ring.service.verificationKey(former?.kid ?? '')).toBeUndefined();
  });

  it('because the store takes no writes goes on: it is heard of', async () => {
    const ring = await open({ maxLag: 5 * SECOND });
    const kid = await signingKid(ring);
    store.trouble = 'replace fails';
    clock.advance(CONFIG.rotateEvery - CONFIG.publishAhead);
    for (let round = 0; round < 10; round++) {
      await ring.service.refresh();
      clock.advance(SECOND);
    }
    await ring.service.refresh();
    expect(ring.service.verificationKey(kid)?.kid).toBe(kid);
    expect(await signingKid(ring)).toBe(kid);
    expect(ring.service.health()).toMatchObject({ status: 'failing' });
  });
});

describe('a store that took the ring and whose answer was lost', () => {
  it('makes no second first key: it looks again, and takes the one that is there', async () => {
    store.trouble = 'answer is lost';
    const ring = await open();
    expect(store.rings).toHaveLength(1);
    expect(keyEventsOf(ring)).toEqual(['key.unavailable', 'key.available']);
    expect(store.rings[0]).toContain(await signingKid(ring));
  });

  it('rotates once, and asking again answers what is under way', async () => {
    const ring = await open();
    store.trouble = 'answer is lost';
    await expect(ring.service.rotate()).rejects.toMatchObject({ code: 'ERR_KEY_RING_UNAVAILABLE' });
    store.trouble = 'none';
    const { kid } = await ring.service.rotate();
    expect(store.rings).toHaveLength(2);
    expect(jwksKids(ring)).toEqual([expect.any(String), kid]);
  });

  it('has taken a compromised key out: it is refused as soon as the store is read', async () => {
    const ring = await open();
    const gone = await signingKid(ring);
    store.trouble = 'answer is lost';
    await expect(ring.service.compromise(gone)).rejects.toMatchObject({ name: 'KeyError' });
    store.trouble = 'none';
    await ring.service.refresh();
    expect(ring.service.verificationKey(gone)).toBeUndefined();
    expect(await ring.service.compromise(gone)).toMatchObject({ phase: 'compromised' });
  });
});
