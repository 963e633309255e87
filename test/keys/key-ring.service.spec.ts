import { stat } from 'node:fs/promises';
import { inspect } from 'node:util';

import { KeyError } from '../../lib/kernel/errors.js';
import { generateSigningKey, importSigningKey } from '../../lib/keys/key-material.js';
import { SignatureVerifier } from '../../lib/keys/signature.js';
import type { KeysConfig } from '../../lib/keys/key-ring.service.js';
import { MemoryKeyStore } from '../../lib/storage/memory/memory-key-store.js';
import { memoryStorage } from '../../lib/storage/memory/memory-storage.js';
import { TestClock } from '../support/test-clock.js';
import { newPrivateJwk, openIssuer } from '../support/token-mother.js';
import { recordSecret } from '../support/witness.js';
import {
  CONFIG,
  keyEventsOf,
  type OpenedRing,
  openRing,
  privateMembersIn,
  privateValuesIn,
} from './opened-ring.js';
import { DAY, HOUR, MINUTE } from './ring-mother.js';
import { STORE_ERROR, TroubledStore } from './troubled-store.js';

const SECOND = 1_000;

let clock: TestClock;
let store: TroubledStore;

beforeEach(() => {
  clock = new TestClock();
  store = new TroubledStore();
});

/** One more instance, at rest: it has heard of its own first ring, too. */
async function open(config: Partial<KeysConfig> = {}): Promise<OpenedRing> {
  const ring = await openRing(store, clock, config);
  if (ring.service.rotates) await ring.service.refresh();
  return ring;
}

const jwksKids = ({ service }: OpenedRing): readonly string[] =>
  service.jwks().keys.map(({ kid }) => kid);
const phases = ({ service }: OpenedRing): readonly string[] =>
  service.keys().map(({ phase, kid }) => `${phase} ${kid}`);

/** Long enough for what must not happen to happen: a turn of the loop and of the thread pool each. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 40; turn++) await stat(__filename);
}

/** Whether something comes true while instances tell each other; `false` after many turns. */
async function comesTrue(holds: () => boolean): Promise<boolean> {
  for (let turn = 0; turn < 20_000 && !holds(); turn++) await stat(__filename);
  return holds();
}

const agree = (rings: readonly OpenedRing[]): boolean =>
  new Set(rings.map(({ service }) => service.jwks().etag)).size === 1;

async function errorOf(attempt: Promise<unknown>): Promise<KeyError> {
  const outcome: unknown = await attempt.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (outcome instanceof KeyError) return outcome;
  throw outcome instanceof Error ? outcome : new Error('it did not fail');
}

describe('open', () => {
  it('answers once a key is ready to sign, and stores it before', async () => {
    const ring = await open();
    const { kid } = await ring.service.signingKey();
    expect(phases(ring)).toEqual([`signing ${kid}`]);
    expect(jwksKids(ring)).toEqual([kid]);
    expect(store.rings).toHaveLength(1);
    expect(keyEventsOf(ring)).toEqual([`key.signing ${kid}`]);
  });

  it('takes over the ring that stands, without a new key or an event', async () => {
    const { kid } = await (await open()).service.signingKey();
    const second = await open();
    expect((await second.service.signingKey()).kid).toBe(kid);
    expect(store.rings).toHaveLength(1);
    expect(keyEventsOf(second)).toEqual([]);
  });

  it('of 8 instances at once creates exactly one key (SEMANTICS 2)', async () => {
    const rings = await Promise.all(Array.from({ length: 8 }, () => openRing(store, clock)));
    const signing = await Promise.all(rings.map(({ service }) => service.signingKey()));
    expect(new Set(signing.map(({ kid }) => kid)).size).toBe(1);
    expect(new Set(rings.map(({ service }) => service.jwks().etag)).size).toBe(1);
    expect(store.rings).toHaveLength(1);
    expect(store.attempts).toBe(8);
    expect(rings.flatMap(keyEventsOf)).toHaveLength(1);
  });

  it('of 8 instances on one memory store creates exactly one key', async () => {
    const memory = new MemoryKeyStore();
    const rings = await Promise.all(Array.from({ length: 8 }, () => openRing(memory, clock)));
    expect(new Set(rings.flatMap(jwksKids)).size).toBe(1);
    expect(await memory.load()).toMatchObject({ stored: { version: 1 } });
  });

  it('misses no change another instance makes meanwhile', async () => {
    const first = await open();
    const answer = store.holdNextLoad();
    const opening = openRing(store, clock);
    await settle();
    // The second has asked for the ring, and the answer is on its way, when the first changes it.
    const { kid } = await first.service.rotate();
    answer();
    const second = await opening;
    expect(await comesTrue(() => jwksKids(second).includes(kid))).toBe(true);
  });

  it('that fails leaves no one listening to the store', async () => {
    store.trouble = 'load fails';
    await errorOf(open());
    expect(store.listeners.size).toBe(0);
  });
});

describe('the moment a change is due (scenario S065)', () => {
  it('makes one new key for 100 parallel signatures, 200 times', async () => {
    const ring = await open();
    for (let round = 1; round <= 200; round++) {
      clock.advance(CONFIG.rotateEvery - CONFIG.publishAhead);
      await Promise.all(Array.from({ length: 100 }, () => ring.service.signingKey()));
      expect(ring.heard.filter(({ type }) => type === 'key.published')).toHaveLength(round);
      clock.advance(CONFIG.publishAhead);
      const signers = await Promise.all(
        Array.from({ length: 100 }, () => ring.service.signingKey()),
      );
      expect(new Set(signers.map(({ kid }) => kid)).size).toBe(1);
      clock.advance(CONFIG.retainFor);
      await ring.service.signingKey();
      // One that published, one that took over, one that retired; the first made the ring.
      expect(store.rings).toHaveLength(1 + 3 * round);
    }
  });

  it('makes one new key for 4 instances with 25 parallel signatures each', async () => {
    const rings = await Promise.all(Array.from({ length: 4 }, () => open()));
    for (let round = 1; round <= 20; round++) {
      clock.advance(CONFIG.rotateEvery - CONFIG.publishAhead);
      const calls = rings.flatMap(({ service }) =>
        Array.from({ length: 25 }, () => service.signingKey()),
      );
      await Promise.all(calls);
      expect(await comesTrue(() => agree(rings))).toBe(true);
      const published = rings.flatMap(({ heard }) =>
        heard.filter(({ type }) => type === 'key.published'),
      );
      expect(published).toHaveLength(round);
      clock.advance(CONFIG.publishAhead);
      await Promise.all(rings.map(({ service }) => service.signingKey()));
      expect(await comesTrue(() => agree(rings))).toBe(true);
    }
  });
});

describe('a new key is public before it signs (scenario S014)', () => {
  it('for the publish-ahead time, on schedule and by hand', async () => {
    const ring = await open();
    const publicSince = new Map<string, number>();
    const publicFor = new Map<string, number>();
    const first = (await ring.service.signingKey()).kid;
    for (let hour = 0; hour < 24 * 100; hour++) {
      clock.advance(HOUR);
      if (hour % 500 === 3) await ring.service.rotate();
      const { kid } = await ring.service.signingKey();
      for (const seen of jwksKids(ring)) {
        if (!publicSince.has(seen)) publicSince.set(seen, clock.now());
      }
      if (!publicFor.has(kid)) publicFor.set(kid, clock.now() - (publicSince.get(kid) ?? NaN));
    }
    publicFor.delete(first);
    expect(publicFor.size).toBeGreaterThanOrEqual(5);
    expect(Math.min(...publicFor.values())).toBeGreaterThanOrEqual(CONFIG.publishAhead);
  });

  it('so no verifier that keeps the JWKS as long as it may meets an unknown kid', async () => {
    const ring = await open({
      rotateEvery: 4 * HOUR,
      publishAhead: 11 * MINUTE,
      jwksMaxAge: 10 * MINUTE,
    });
    const verifiers = Array.from({ length: 25 }, () => ({ staleAt: 0, kids: new Set<string>() }));
    const missed: string[] = [];
    for (let step = 0; step < 4_000; step++) {
      // Uneven steps, so that the fetches of verifiers spread over all moments of a rotation.
      clock.advance(((step * 7_919) % 97) * SECOND);
      if (step % 700 === 13) await ring.service.rotate();
      const { kid } = await ring.service.signingKey();
      for (const [index, verifier] of verifiers.entries()) {
        if ((step + index) % 5 !== 0) continue;
        if (clock.now() >= verifier.staleAt) {
          const jwks = ring.service.jwks();
          verifier.kids = new Set(jwks.keys.map((key) => key.kid));
          verifier.staleAt = clock.now() + jwks.maxAgeSeconds() * SECOND;
        }
        if (!verifier.kids.has(kid)) missed.push(kid);
      }
    }
    expect(missed).toEqual([]);
    expect(
      keyEventsOf(ring).filter((event) => event.startsWith('key.signing')).length,
    ).toBeGreaterThan(8);
  });
});

describe('an old key verifies until its last token expired (scenario S015)', () => {
  it('then it is gone from the JWKS, from memory and from the store', async () => {
    const { keyRing, tokens } = await openIssuer(
      {
        keys: {
          publishAhead: '10m',
          jwksMaxAge: '5m',
          rotateEvery: '1d',
          retainFor: '910s',
          encryptionKeys: null,
        },
        tokens: { accessTtl: '15m', maxLifetime: '15m', leeway: '10s' },
        storage: { ...memoryStorage(), keyStore: store },
      },
      clock,
    );
    const old = (await keyRing.signingKey()).kid;
    const { kid: next, signsFrom } = await keyRing.rotate();
    clock.set(signsFrom.getTime() - SECOND);
    const { token } = await tokens.sign({ sub: 'alice' });
    recordSecret(token);
    clock.advance(SECOND);
    expect((await keyRing.signingKey()).kid).toBe(next);

    const expiry = signsFrom.getTime() - SECOND + 15 * MINUTE;
    for (; clock.now() < expiry + 10 * SECOND; clock.advance(SECOND)) {
      await keyRing.signingKey();
      expect((await tokens.verify(token)).kid).toBe(old);
    }
    await expect(tokens.verify(token)).rejects.toMatchObject({ code: 'ERR_TOKEN_EXPIRED' });

    expect(keyRing.verificationKey(old)).toBeDefined();
    clock.advance(SECOND);
    // From this very instant, whether or not anything has moved the ring.
    expect(keyRing.verificationKey(old)).toBeUndefined();
    await keyRing.signingKey();
    expect(keyRing.jwks().body).not.toContain(old);
    expect(keyRing.keys().map(({ kid }) => kid)).toEqual([next]);
    expect(store.rings.at(0)).toContain(old);
    expect(store.rings.at(-1)).not.toContain(old);
    await expect(tokens.verify(token)).rejects.toMatchObject({ name: 'TokenError' });
  });
});

describe('rotate', () => {
  it('publishes a successor now, which takes over when it said', async () => {
    const ring = await open();
    const old = (await ring.service.signingKey()).kid;
    const { kid, signsFrom } = await ring.service.rotate();
    expect(signsFrom).toEqual(new Date(clock.now() + CONFIG.publishAhead));
    expect(phases(ring)).toEqual([`signing ${old}`, `published ${kid}`]);
    expect(jwksKids(ring)).toEqual([old, kid]);
    clock.set(signsFrom.getTime() - 1);
    expect((await ring.service.signingKey()).kid).toBe(old);
    clock.set(signsFrom.getTime());
    expect((await ring.service.signingKey()).kid).toBe(kid);
    expect(phases(ring)).toEqual([`verifying ${old}`, `signing ${kid}`]);
  });

  it('asked 50 times at once answers the same successor', async () => {
    const ring = await open();
    const answers = await Promise.all(Array.from({ length: 50 }, () => ring.service.rotate()));
    expect(new Set(answers.map(({ kid }) => kid)).size).toBe(1);
    expect(new Set(answers.map(({ signsFrom }) => signsFrom.getTime())).size).toBe(1);
    expect(ring.service.keys()).toHaveLength(2);
  });

  it('asked on 8 instances at once answers the same successor everywhere', async () => {
    const rings = await Promise.all(Array.from({ length: 8 }, () => open()));
    const answers = await Promise.all(rings.map(({ service }) => service.rotate()));
    expect(new Set(answers.map(({ kid }) => kid)).size).toBe(1);
    expect(await comesTrue(() => agree(rings))).toBe(true);
    expect(store.rings).toHaveLength(2);
  });

  it('asked once more begins again only after the hand-over', async () => {
    const ring = await open();
    const first = await ring.service.rotate();
    clock.advance(CONFIG.publishAhead - 1);
    expect(await ring.service.rotate()).toEqual(first);
    clock.advance(1);
    expect((await ring.service.signingKey()).kid).toBe(first.kid);
    const second = await ring.service.rotate();
    expect(second.kid).not.toBe(first.kid);
    expect(ring.service.keys().map(({ phase }) => phase)).toEqual([
      'verifying',
      'signing',
      'published',
    ]);
  });

  it('beside signatures at the moment a change is due still makes one key', async () => {
    const ring = await open();
    clock.advance(CONFIG.rotateEvery - CONFIG.publishAhead);
    const [rotation] = await Promise.all([
      ring.service.rotate(),
      ...Array.from({ length: 20 }, () => ring.service.signingKey()),
      ring.service.rotate(),
    ]);
    expect(ring.service.keys()).toHaveLength(2);
    expect(ring.service.keys()[1]).toMatchObject({ kid: rotation.kid, phase: 'published' });
  });
});

describe('two instances on one store', () => {
  it('agree after every change, whoever made it', async () => {
    const memory = new MemoryKeyStore();
    const rings = [await openRing(memory, clock), await openRing(memory, clock)] as const;
    for (let round = 0; round < 6; round++) {
      const { kid, signsFrom } = await rings[round % 2 === 0 ? 0 : 1].service.rotate();
      const bothKnow = (): boolean => rings.every((ring) => jwksKids(ring).includes(kid));
      expect(await comesTrue(bothKnow)).toBe(true);
      clock.set(signsFrom.getTime());
      for (const { service } of rings) expect((await service.signingKey()).kid).toBe(kid);
      expect(await comesTrue(() => agree(rings))).toBe(true);
    }
  });

  it('verify what the other signed, at every moment of a rotation', async () => {
    const rings = [await open(), await open()] as const;
    await rings[0].service.rotate();
    expect(await comesTrue(() => agree(rings))).toBe(true);
    const input = Buffer.from('input');
    for (let hour = 0; hour < 72; hour++, clock.advance(HOUR)) {
      const key = await rings[hour % 2 === 0 ? 0 : 1].service.signingKey();
      const signature = Buffer.from(await key.sign(input));
      for (const { service } of rings) {
        const found = service.verificationKey(key.kid);
        const check = found && { key: found, input, signature };
        expect(check && (await new SignatureVerifier().verify(check))).toBe(true);
      }
    }
  });

  it('say each change once: the one that made it', async () => {
    const rings = [await open(), await open()] as const;
    const old = (await rings[0].service.signingKey()).kid;
    const { kid } = await rings[1].service.rotate();
    clock.advance(CONFIG.publishAhead);
    await Promise.all(rings.map(({ service }) => service.signingKey()));
    clock.advance(CONFIG.retainFor);
    await Promise.all(rings.map(({ service }) => service.signingKey()));
    await settle();
    expect(rings.flatMap(keyEventsOf).toSorted()).toEqual(
      [
        `key.signing ${old}`,
        `key.published ${kid}`,
        `key.verifying ${old}`,
        `key.signing ${kid}`,
        `key.retired ${old}`,
      ].toSorted(),
    );
  });

  it('agree again after a notification was lost', async () => {
    const rings = [await open(), await open()] as const;
    store.announcements = 'lost';
    const { kid } = await rings[0].service.rotate();
    await rings[1].service.refresh();
    expect(jwksKids(rings[1])).toContain(kid);
  });

  it('agree again after the store failed just when it was asked for a change', async () => {
    const rings = [await open(), await open()] as const;
    const { kid } = await rings[0].service.rotate();
    store.trouble = 'load fails';
    await settle();
    store.trouble = 'none';
    await rings[1].service.refresh();
    expect(jwksKids(rings[1])).toContain(kid);
  });

  it('agree again after the store was emptied and one of them began anew', async () => {
    const first = await open();
    store.announcements = 'lost';
    store.put(null);
    const second = await open();
    await first.service.refresh();
    await second.service.refresh();
    const { kid } = await second.service.signingKey();
    const knows = first.service.verificationKey(kid) !== undefined;
    const complains = first.heard.some(({ type }) => type === 'key.unavailable');
    expect(knows || complains).toBe(true);
  });

  it('hear nothing any more once destroyed', async () => {
    const rings = [await open(), await open()] as const;
    await rings[1].service.onModuleDestroy();
    await rings[0].service.rotate();
    await settle();
    expect(rings[1].service.keys()).toHaveLength(1);
    expect(store.listeners.size).toBe(1);
  });
});

describe('a change of keys.algorithm over one store', () => {
  it('never signs with a key verifiers have not met, and drops no token', async () => {
    const old = await open();
    const { kid: first } = await old.service.signingKey();
    // A rolling deployment: for a while one instance of either release.
    const fresh = await open({ algorithms: ['ES384'] });
    const known = new Map<string, number>(
      fresh.service.jwks().keys.map(({ kid }) => [kid, clock.now()] as const),
    );
    const signers = new Map<string, number>();
    for (let hour = 0; hour < 80; hour++, clock.advance(HOUR)) {
      if (hour === 20) await old.service.onModuleDestroy();
      for (const { service } of hour < 20 ? [old, fresh] : [fresh]) {
        const { kid } = await service.signingKey();
        await settle();
        for (const key of service.jwks().keys) {
          if (!known.has(key.kid)) known.set(key.kid, clock.now());
        }
        if (!signers.has(kid)) signers.set(kid, clock.now() - (known.get(kid) ?? NaN));
        expect(fresh.service.verificationKey(kid)).toBeDefined();
      }
    }
    const [begin, next, ...others] = signers.keys();
    expect(begin).toBe(first);
    expect(others).toEqual([]);
    expect(signers.get(next ?? '')).toBeGreaterThanOrEqual(CONFIG.publishAhead);
    expect((await fresh.service.signingKey()).row.name).toBe('ES384');
    expect(fresh.service.verificationKey(first)).toBeUndefined();
  });
});

describe('events', () => {
  it('tell the life of a key, with the instants that matter', async () => {
    const ring = await open();
    const t0 = clock.now();
    const old = (await ring.service.signingKey()).kid;
    const { kid } = await ring.service.rotate();
    clock.advance(CONFIG.publishAhead);
    await ring.service.signingKey();
    const t1 = clock.now();
    clock.advance(CONFIG.retainFor);
    await ring.service.signingKey();
    const algorithm = 'ES256';
    expect(ring.heard).toEqual([
      { type: 'key.signing', at: new Date(t0), kid: old, algorithm },
      { type: 'key.published', at: new Date(t0), kid, algorithm, signsFrom: new Date(t1) },
      {
        type: 'key.verifying',
        at: new Date(t1),
        kid: old,
        algorithm,
        retiresAt: new Date(t1 + CONFIG.retainFor),
      },
      { type: 'key.signing', at: new Date(t1), kid, algorithm },
      { type: 'key.retired', at: new Date(t1 + CONFIG.retainFor), kid: old, algorithm },
    ]);
  });

  it('of a failing listener do not reach the caller', async () => {
    const { keyRing, events } = await openIssuer({}, clock);
    events.on('key.published', () => {
      throw new Error('a listener of the application');
    });
    await expect(keyRing.rotate()).resolves.toHaveProperty('kid');
  });
});

describe('keys() and jwks()', () => {
  it.each(['ES256', 'Ed25519', 'RS256'] as const)(
    'of %s keys show no private part, in no phase, at no depth',
    async (algorithm) => {
      const ring = await open({ algorithms: [algorithm] });
      await ring.service.rotate();
      clock.advance(CONFIG.publishAhead);
      await ring.service.rotate();
      const { service } = ring;
      expect(service.keys().map(({ phase }) => phase)).toEqual([
        'verifying',
        'signing',
        'published',
      ]);
      const secrets = store.rings.flatMap(privateValuesIn);
      const shown = [
        inspect(service, { depth: Infinity }),
        inspect(service.keys(), { depth: Infinity, showHidden: true }),
        inspect(service.jwks(), { depth: Infinity, showHidden: true }),
        JSON.stringify([service.keys(), service.jwks(), service, service.jwks().keys]),
        service.jwks().body,
      ].join('\n');
      expect(secrets.length).toBeGreaterThan(0);
      expect(secrets.filter((secret) => shown.includes(secret))).toEqual([]);
      expect(privateMembersIn([service.keys(), service.jwks().keys])).toEqual([]);
      expect(privateMembersIn(JSON.parse(service.jwks().body))).toEqual([]);
      for (const { kid } of service.keys()) {
        expect(service.verificationKey(kid)).not.toHaveProperty('privateKey');
      }
      const { publicMembers } = (await service.signingKey()).row;
      for (const key of service.jwks().keys) {
        expect(Object.keys(key).toSorted()).toEqual(
          [...publicMembers, 'kid', 'alg', 'use'].toSorted(),
        );
      }
    },
  );

  it('leave no private part of a former key in the store', async () => {
    const ring = await open();
    const [former] = privateValuesIn(store.stored?.ring ?? '');
    await ring.service.rotate();
    clock.advance(CONFIG.publishAhead);
    await ring.service.signingKey();
    expect(former).toEqual(expect.any(String));
    expect(store.rings.map((ring) => ring.includes(former ?? ''))).toEqual([true, true, false]);
  });

  it('describe each phase by its instants', async () => {
    const ring = await open();
    const t0 = new Date(clock.now());
    await ring.service.rotate();
    const t1 = new Date(t0.getTime() + CONFIG.publishAhead);
    expect(ring.service.keys()).toMatchObject([
      { phase: 'signing', publishedAt: t0, signsFrom: t0, retiresAt: null, algorithm: 'ES256' },
      { phase: 'published', publishedAt: t0, signsFrom: t1, retiresAt: null },
    ]);
    clock.set(t1.getTime());
    await ring.service.signingKey();
    expect(ring.service.keys()).toMatchObject([
      { phase: 'verifying', signsFrom: t0, retiresAt: new Date(t1.getTime() + CONFIG.retainFor) },
      { phase: 'signing', publishedAt: t0, signsFrom: t1 },
    ]);
  });

  it('find no key by a name that is none', async () => {
    const { service } = await open();
    for (const kid of ['', 'unknown', '__proto__', 'constructor', 'size']) {
      expect(service.verificationKey(kid)).toBeUndefined();
    }
  });
});

describe('a configured key', () => {
  it('signs and verifies for ever, and the store is never touched', async () => {
    const signingKey = await importSigningKey({ ...(await newPrivateJwk()), kid: 'mine' });
    store.trouble = 'load fails';
    const ring = await open({ staticKeys: { signing: signingKey, previous: [] } });
    expect(ring.service.rotates).toBe(false);
    for (let year = 0; year < 10; year++, clock.advance(366 * DAY)) {
      expect((await ring.service.signingKey()).kid).toBe('mine');
      expect(ring.service.verificationKey('mine')).toBeDefined();
      expect(ring.service.jwks().maxAgeSeconds()).toBe(300);
    }
    expect(phases(ring)).toEqual(['signing mine']);
    expect(ring.service.verificationKey('mine')).not.toHaveProperty('privateKey');
    expect(privateMembersIn([ring.service.keys(), ring.service.jwks().keys])).toEqual([]);
    expect([store.loads, store.attempts, store.listeners.size, ring.heard.length]).toEqual([
      0, 0, 0, 0,
    ]);
  });

  it('is rotated by its operator alone: rotate() refuses', async () => {
    const ring = await open({
      staticKeys: { signing: await generateSigningKey('Ed25519'), previous: [] },
    });
    const error = await errorOf(ring.service.rotate());
    expect(error.code).toBe('ERR_KEY_STATIC');
    expect(error.message).toContain('keys.signingKey');
    expect(ring.service.keys()).toHaveLength(1);
  });
});

describe('a store in trouble', () => {
  it.each([
    ['load fails', 'ERR_KEY_RING_UNAVAILABLE'],
    ['replace fails', 'ERR_KEY_RING_UNAVAILABLE'],
    ['always loses', 'ERR_KEY_RING_CONFLICT'],
  ] as const)('because %s stops the start with %s', async (trouble, code) => {
    store.trouble = trouble;
    const error = await errorOf(open());
    expect(error.code).toBe(code);
    // What the store said is the cause, for whoever debugs; it can hold a password.
    expect(error.message).not.toContain('pa55w0rd');
    expect(error.cause).toBe(trouble === 'always loses' ? undefined : STORE_ERROR);
    expect(store.rings).toEqual([]);
    expect(store.attempts).toBeLessThan(100);
  });

  it.each(['load fails', 'replace fails', 'always loses'] as const)(
    'because %s when a change is due lets the current key sign on, and says so once',
    async (trouble) => {
      const ring = await open();
      const { kid } = await ring.service.signingKey();
      clock.advance(CONFIG.rotateEvery - CONFIG.publishAhead);
      store.trouble = trouble;
      const signers = await Promise.all(
        Array.from({ length: 100 }, () => ring.service.signingKey()),
      );
      expect(new Set(signers.map((signer) => signer.kid))).toEqual(new Set([kid]));
      const complaints = ring.heard.filter(({ type }) => type === 'key.unavailable');
      expect(complaints).toHaveLength(1);
      expect(JSON.stringify(complaints)).not.toContain('pa55w0rd');
      expect(store.rings).toHaveLength(1);

      store.trouble = 'none';
      clock.advance(SECOND);
      await ring.service.signingKey();
      expect(ring.service.keys().map(({ phase }) => phase)).toEqual(['signing', 'published']);
    },
  );

  it('is not asked again by every signature, but once a second', async () => {
    const ring = await open();
    clock.advance(CONFIG.rotateEvery);
    store.trouble = 'load fails';
    const before = store.loads;
    for (let signature = 0; signature < 50; signature++) await ring.service.signingKey();
    expect(store.loads - before).toBe(1);
    clock.advance(SECOND);
    await ring.service.signingKey();
    expect(store.loads - before).toBe(2);
  });

  it('is not waited for by verification, nor by the JWKS', async () => {
    const ring = await open();
    const [kid = ''] = jwksKids(ring);
    store.trouble = 'load fails';
    clock.advance(400 * DAY);
    expect(ring.service.verificationKey(kid)).toBeDefined();
    expect(jwksKids(ring)).toEqual([kid]);
    expect(ring.service.jwks().maxAgeSeconds()).toBe(0);
  });

  it.each(['load fails', 'replace fails', 'always loses'] as const)(
    'because %s fails a rotation by hand, and the next one works',
    async (trouble) => {
      const ring = await open();
      store.trouble = trouble;
      const error = await errorOf(ring.service.rotate());
      expect(error.message).not.toContain('pa55w0rd');
      expect(ring.service.keys()).toHaveLength(1);
      store.trouble = 'none';
      const { kid } = await ring.service.rotate();
      expect(jwksKids(ring)).toContain(kid);
    },
  );

  it('that lost its ring is no reason to begin a new one unannounced', async () => {
    const ring = await open();
    const { kid } = await ring.service.signingKey();
    store.put(null);
    await settle();
    await ring.service.refresh();
    // Verifiers hold a JWKS with the old key alone: nothing but that may sign now.
    expect((await ring.service.signingKey()).kid).toBe(kid);
    expect(store.stored?.ring.includes(kid) ?? true).toBe(true);
  });
});
