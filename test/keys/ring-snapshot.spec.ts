import {
  exportPrivateJwk,
  generateSigningKey,
  importSigningKey,
} from '../../lib/keys/key-material.js';
import { type KeyRing } from '../../lib/keys/key-ring.js';
import {
  advance,
  beginRotation,
  type FreshKey,
  nextChangeAt,
} from '../../lib/keys/ring-transitions.js';
import { RingSnapshots } from '../../lib/keys/ring-snapshot.js';
import { TestClock } from '../support/test-clock.js';
import { DAY, NO_KEYS, POLICY } from './ring-mother.js';

const MAX_AGE = 300_000;

async function realKey(algorithm: 'ES256' | 'ES384' = 'ES256'): Promise<FreshKey> {
  const key = await generateSigningKey(algorithm);
  return { kid: key.kid, algorithm, publicJwk: key.publicJwk, privateJwk: exportPrivateJwk(key) };
}

let clock: TestClock;
let snapshots: RingSnapshots;
let signing: KeyRing;
let rotating: KeyRing;
let handedOver: KeyRing;

beforeAll(async () => {
  clock = new TestClock();
  const [first, second] = [await realKey(), await realKey()];
  const now = clock.now();
  signing = advance(NO_KEYS, now, POLICY, [first]).ring;
  rotating = beginRotation(signing, now, POLICY, [second]).ring;
  handedOver = advance(rotating, now + POLICY.publishAhead, POLICY, []).ring;
});

beforeEach(() => {
  snapshots = new RingSnapshots(POLICY, null, MAX_AGE, clock);
});

describe('a snapshot of a ring', () => {
  it('signs with the key that signs, and verifies with all', async () => {
    const snapshot = await snapshots.of(rotating);
    const [current, successor] = rotating.keys;
    expect([...snapshot.signing].map(([name, { kid }]) => [name, kid])).toEqual([
      ['ES256', current?.kid],
    ]);
    expect([...snapshot.usable.keys()]).toEqual([current?.kid, successor?.kid]);
    expect(snapshot.jwks.keys.map(({ kid }) => kid)).toEqual([current?.kid, successor?.kid]);
    expect(snapshot.changesAt).toBe(nextChangeAt(rotating, POLICY));
  });

  it('verifies with public halves, which keep no private key alive', async () => {
    for (const { key } of (await snapshots.of(rotating)).usable.values()) {
      expect(key).not.toHaveProperty('privateKey');
      expect(key.verifyWith.key.type).toBe('public');
    }
  });

  it('says until when a former key verifies, and sets no end to the others', async () => {
    const { usable } = await snapshots.of(handedOver);
    const retiresAt = clock.now() + POLICY.publishAhead + POLICY.retainFor;
    expect([...usable.values()].map(({ until }) => until)).toEqual([retiresAt, Infinity]);
  });

  it('reuses key objects as long as the key is in the ring, and forgets them after', async () => {
    const [kid = ''] = signing.keys.map((key) => key.kid);
    const before = await snapshots.of(signing);
    const during = await snapshots.of(rotating);
    expect(during.signing.get('ES256')).toBe(before.signing.get('ES256'));
    const after = await snapshots.of(handedOver);
    expect(after.usable.get(kid)?.key).toBe(before.usable.get(kid)?.key);
    expect(after.signing.get('ES256')).not.toBe(before.signing.get('ES256'));
    const alone = advance(handedOver, clock.now() + 2 * DAY + DAY, POLICY, []).ring;
    await snapshots.of(alone);
    expect((await snapshots.of(signing)).usable.get(kid)?.key).not.toBe(
      before.usable.get(kid)?.key,
    );
  });

  it('signs with a key of another algorithm until one of the configured signs', async () => {
    const migrated = { ...POLICY, algorithms: ['ES384'] as const };
    const begun = advance(signing, clock.now(), migrated, [await realKey('ES384')]).ring;
    const done = advance(begun, clock.now() + POLICY.publishAhead, migrated, []).ring;
    const other = new RingSnapshots(migrated, null, MAX_AGE, clock);
    // What is asked for by the first name is answered by what signs in its stead.
    expect((await other.of(begun)).signing.get('ES384')?.row.name).toBe('ES256');
    expect((await other.of(done)).signing.get('ES384')?.row.name).toBe('ES384');
  });

  it('of no keys is refused', async () => {
    await expect(snapshots.of(NO_KEYS)).rejects.toMatchObject({ code: 'ERR_KEY_RING_UNAVAILABLE' });
  });

  it('of a configured key never changes', async () => {
    const key = await importSigningKey({
      ...exportPrivateJwk(await generateSigningKey('ES384')),
      kid: 'mine',
    });
    const snapshot = snapshots.ofStaticKeys(key, [], []);
    expect([...snapshot.signing]).toEqual([['ES384', key]]);
    expect(snapshot.changesAt).toBe(Infinity);
    expect(snapshot.jwks.maxAgeSeconds()).toBe(300);
    expect(snapshot.usable.get('mine')).toMatchObject({ until: Infinity });
    expect(snapshot.usable.get('mine')?.key).not.toHaveProperty('privateKey');
  });
});
