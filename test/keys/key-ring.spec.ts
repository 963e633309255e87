import {
  assertRing,
  type CurrentKey,
  findPublished,
  findSigning,
  type FormerKey,
  type KeyRing,
  type PublishedKey,
  type RingKey,
} from '../../lib/keys/key-ring.js';
import {
  advance,
  beginRotation,
  keysDue,
  nextChangeAt,
  type RingPolicy,
} from '../../lib/keys/ring-transitions.js';
import {
  changesOf,
  DAY,
  freshKey,
  HOUR,
  NO_KEYS,
  phasesOf,
  POLICY,
  stored,
  take,
} from './ring-mother.js';

const T0 = Date.UTC(2026, 0, 1);
const SIGNS_FROM = T0 + POLICY.rotateEvery;
const PUBLISHES_AT = SIGNS_FROM - POLICY.publishAhead;

const a = freshKey('ES256', 'a');
const b = freshKey('ES256', 'b');
const c = freshKey('ES256', 'c');

const identity = ({ kid, algorithm, publicJwk }: typeof a, publishedAt = T0) => ({
  kid,
  algorithm,
  publicJwk,
  publishedAt,
});
const signing = (key = a, signingSince = T0): CurrentKey => ({
  ...identity(key),
  phase: 'signing',
  privateJwk: key.privateJwk,
  signingSince,
});
const published = (key = b, signsFrom = SIGNS_FROM): PublishedKey => ({
  ...identity(key, PUBLISHES_AT),
  phase: 'published',
  privateJwk: key.privateJwk,
  signsFrom,
});
const verifying = (key = c, retiresAt = T0 + DAY): FormerKey => ({
  ...identity(key),
  phase: 'verifying',
  signingSince: T0 - DAY,
  verifyingSince: T0,
  retiresAt,
});

const ring = (...keys: RingKey[]): KeyRing => ({ keys, compromised: [] });

describe('the life of a key (SEMANTICS 2)', () => {
  it('begins as the first of its algorithm, which signs at once', () => {
    expect(keysDue(NO_KEYS, T0, POLICY)).toEqual(['ES256']);
    const step = advance(NO_KEYS, T0, POLICY, [a]);
    expect(step.ring).toEqual(ring(signing()));
    expect(changesOf(step)).toEqual(['signing a']);
  });

  it('rests until its successor is due: nothing changes a millisecond before', () => {
    const resting = ring(signing());
    expect(keysDue(resting, PUBLISHES_AT - 1, POLICY)).toEqual([]);
    const step = take(advance, resting, PUBLISHES_AT - 1);
    expect(step.ring).toEqual(resting);
    expect(step.changes).toEqual([]);
  });

  it('publishes its successor the publish-ahead time before it hands over', () => {
    expect(keysDue(ring(signing()), PUBLISHES_AT, POLICY)).toEqual(['ES256']);
    const step = advance(ring(signing()), PUBLISHES_AT, POLICY, [b]);
    expect(step.ring).toEqual(ring(signing(), published()));
    expect(changesOf(step)).toEqual(['published b']);
  });

  it('hands over in one step, and its private part is gone', () => {
    const before = ring(signing(), published());
    expect(take(advance, before, SIGNS_FROM - 1).changes).toEqual([]);
    const step = take(advance, before, SIGNS_FROM);
    expect(changesOf(step)).toEqual(['verifying a', 'signing b']);
    expect(findSigning(step.ring, 'ES256')).toMatchObject({ kid: 'b', signingSince: SIGNS_FROM });
    expect(findPublished(step.ring, 'ES256')).toBeUndefined();
    const [former] = step.ring.keys;
    expect(former).toEqual({
      ...identity(a),
      phase: 'verifying',
      signingSince: T0,
      verifyingSince: SIGNS_FROM,
      retiresAt: SIGNS_FROM + POLICY.retainFor,
    });
    expect(JSON.stringify(former)).not.toContain('private');
  });

  it('verifies for the whole retention time, then leaves', () => {
    const before = ring(verifying(a), signing(b));
    expect(take(advance, before, T0 + DAY - 1).changes).toEqual([]);
    const step = take(advance, before, T0 + DAY);
    expect(phasesOf(step.ring)).toEqual(['signing b']);
    expect(changesOf(step)).toEqual(['retired a']);
  });

  it('is caught up with after a long absence without breaking the publish-ahead time', () => {
    const late = T0 + 400 * DAY;
    const step = take(advance, ring(signing()), late);
    expect(step.ring.keys[0]).toEqual(signing());
    expect(findPublished(step.ring, 'ES256')).toMatchObject({
      publishedAt: late,
      signsFrom: late + POLICY.publishAhead,
    });
  });

  it('retains from the moment it really stopped, not from when it should have', () => {
    const late = SIGNS_FROM + 400 * DAY;
    const step = take(advance, ring(signing(), published()), late);
    expect(step.ring.keys[0]).toMatchObject({
      phase: 'verifying',
      retiresAt: late + POLICY.retainFor,
    });
    // The one that took over late signs for its full time.
    expect(nextChangeAt(step.ring, POLICY)).toBe(late + POLICY.retainFor);
  });

  it('goes through stores as text unchanged', () => {
    const step = take(advance, ring(verifying(c), signing(a), published(b)), SIGNS_FROM);
    expect(stored(step.ring)).toEqual(step.ring);
  });
});

describe('beginRotation', () => {
  it('publishes a successor at once, which signs once it was public long enough', () => {
    const now = T0 + HOUR;
    const step = beginRotation(ring(signing()), now, POLICY, [b]);
    expect(changesOf(step)).toEqual(['published b']);
    expect(findPublished(step.ring, 'ES256')).toMatchObject({
      publishedAt: now,
      signsFrom: now + POLICY.publishAhead,
    });
  });

  it('called twice makes one successor and does not put it off', () => {
    const first = beginRotation(ring(signing()), T0 + HOUR, POLICY, [b]);
    const second = beginRotation(first.ring, T0 + 2 * HOUR, POLICY, [c]);
    expect(second.ring).toEqual(first.ring);
    expect(second.changes).toEqual([]);
  });

  it('keeps the successor that is on schedule already', () => {
    const before = ring(signing(), published());
    const step = beginRotation(before, SIGNS_FROM - 1, POLICY, [c]);
    expect(step.ring).toEqual(before);
  });

  it('of an empty ring makes the first key and no successor', () => {
    const step = beginRotation(NO_KEYS, T0, POLICY, [a]);
    expect(phasesOf(step.ring)).toEqual(['signing a']);
    expect(changesOf(step)).toEqual(['signing a']);
  });

  it('at the very moment of a hand-over completes it and begins the next', () => {
    const step = beginRotation(ring(signing(), published()), SIGNS_FROM, POLICY, [c]);
    expect(phasesOf(step.ring)).toEqual(['verifying a', 'signing b', 'published c']);
    expect(findPublished(step.ring, 'ES256')?.signsFrom).toBe(SIGNS_FROM + POLICY.publishAhead);
  });

  it('just when a successor is due uses the same one key for both', () => {
    const step = beginRotation(ring(signing()), PUBLISHES_AT, POLICY, [b]);
    expect(phasesOf(step.ring)).toEqual(['signing a', 'published b']);
    expect(changesOf(step)).toEqual(['published b']);
  });
});

describe('nextChangeAt', () => {
  it.each([
    ['an empty ring', NO_KEYS, -Infinity],
    ['a signing key alone', ring(signing()), PUBLISHES_AT],
    ['a successor', ring(signing(), published()), SIGNS_FROM],
    ['a former key that leaves first', ring(verifying(), signing()), T0 + DAY],
    ['a former key that leaves last', ring(verifying(c, SIGNS_FROM), signing()), PUBLISHES_AT],
  ])('of %s', (_name, given, expected) => {
    expect(nextChangeAt(given, POLICY)).toBe(expected);
  });
});

describe('a clock that is set back', () => {
  const all = ring(verifying(c), signing(a), published(b));

  it.each([
    ['a second', 1_000],
    ['an hour', HOUR],
  ])('by %s, as clocks of instances differ, changes nothing', (_name, ms) => {
    const step = take(advance, ring(verifying(c), signing(a)), T0 - ms);
    expect(step.changes).toEqual([]);
  });

  it('by more than that keeps no key waiting for an instant only a wrong clock wrote', () => {
    const now = T0 - 400 * DAY;
    const step = take(advance, all, now);
    expect(phasesOf(step.ring)).toEqual(phasesOf(all));
    expect(step.ring.keys).toMatchObject([
      { retiresAt: now + POLICY.retainFor },
      { signingSince: now },
      { publishedAt: now, signsFrom: now + POLICY.publishAhead },
    ]);
    expect(nextChangeAt(step.ring, POLICY)).toBe(now + POLICY.publishAhead);
  });

  it('never makes a key sign, or leave, earlier than the policy says from then on', () => {
    const now = T0 - 400 * DAY;
    const { ring: anchored } = take(advance, all, now);
    const early = now + Math.min(POLICY.publishAhead, POLICY.retainFor) - 1;
    expect(take(advance, anchored, early).changes).toEqual([]);
  });

  it('changes the same on every instance: once, then it is at rest', () => {
    const now = T0 - 400 * DAY;
    const { ring: anchored } = take(advance, all, now);
    expect(take(advance, anchored, now).changes).toEqual([]);
  });
});

describe('a change of the configured algorithm', () => {
  const migrated: RingPolicy = { ...POLICY, algorithms: ['ES384'] };
  const settle = (given: KeyRing, now: number): KeyRing => take(advance, given, now, migrated).ring;
  const names = ({ keys }: KeyRing): readonly string[] =>
    keys.map(({ phase, algorithm }) => `${phase} ${algorithm}`);

  it('lets the old key sign until the new one was public long enough (SEMANTICS 12)', () => {
    const now = T0 + HOUR;
    const begun = settle(ring(signing()), now);
    expect(names(begun)).toEqual(['signing ES256', 'published ES384']);
    expect(nextChangeAt(begun, migrated)).toBe(now + POLICY.publishAhead);
    const done = settle(begun, now + POLICY.publishAhead);
    expect(names(done)).toEqual(['verifying ES256', 'signing ES384']);
    expect(findSigning(done, 'ES384')).toMatchObject({ publishedAt: now });
  });

  it('never lets a successor of the old algorithm sign, and reaches rest', () => {
    let now = T0 + HOUR;
    let current = settle(ring(signing(), published(b, now + 1)), now);
    const signers = new Set<string>();
    for (let change = 0; change < 6; change++) {
      for (const key of current.keys) if (key.phase === 'signing') signers.add(key.kid);
      now = nextChangeAt(current, migrated);
      current = settle(current, now);
      // What was due at this instant is done: the next change lies in the future.
      expect(nextChangeAt(current, migrated)).toBeGreaterThan(now);
    }
    expect(signers).not.toContain('b');
    expect(current.keys.every(({ algorithm }) => algorithm === 'ES384')).toBe(true);
  });

  it('taken back in time makes no second key of the old algorithm', () => {
    const begun = settle(ring(signing()), T0 + HOUR);
    const back = take(advance, begun, T0 + 2 * HOUR, POLICY);
    expect(back.changes).toEqual([]);
    expect(findSigning(back.ring, 'ES256')?.kid).toBe('a');
  });

  it('does not begin twice when instances of both releases take turns', () => {
    let current = ring(signing());
    for (let now = T0 + HOUR; now < T0 + 20 * HOUR; now += HOUR) {
      current = take(advance, current, now, migrated).ring;
      current = take(advance, current, now, POLICY).ring;
    }
    expect(names(current)).toEqual(['signing ES256', 'published ES384']);
  });

  it('keeps several algorithms apart during a migration', () => {
    const both: RingPolicy = { ...POLICY, algorithms: ['ES256', 'ES384'] };
    const step = take(advance, ring(signing()), T0 + HOUR, both);
    expect(names(step.ring)).toEqual(['signing ES256', 'published ES384']);
    expect(keysDue(step.ring, PUBLISHES_AT, both)).toEqual(['ES256']);
    const done = take(advance, step.ring, T0 + HOUR + POLICY.publishAhead, both);
    expect(names(done.ring)).toEqual(['signing ES256', 'signing ES384']);
  });
});

describe('assertRing', () => {
  it.each([
    ['a first key', ring(signing())],
    ['a key and its successor', ring(signing(), published())],
    ['a former key', ring(verifying(), signing())],
    ['former keys in any number', ring(verifying(b), verifying(c), signing(a))],
    ['one key of each of two algorithms', ring(signing(a), signing(freshKey('ES384', 'd')))],
  ])('lets pass %s', (_name, given) => {
    expect(assertRing(given)).toBe(given);
  });

  const keptPrivate: object = { ...verifying(), privateJwk: c.privateJwk };
  const lostPrivate: object = { ...signing(), privateJwk: { ...a.privateJwk, d: undefined } };

  it.each([
    ['no keys: a stored ring began with one', ring(), /no key signs/],
    ['former keys alone', ring(verifying()), /no key signs/],
    ['a successor alone', ring(published()), /no key signs/],
    ['a kid twice (scenario S022)', ring(signing(a), published({ ...a })), /share a kid/],
    [
      'a kid twice over two algorithms',
      ring(signing(a), signing(freshKey('ES384', 'a'))),
      /share a kid/,
    ],
    ['the kid of a former key again', ring(verifying(a), signing(a)), /share a kid/],
    ['two signing keys of one algorithm', ring(signing(a), signing(b)), /two keys are signing/],
    [
      'two successors of one algorithm',
      ring(signing(a), published(b), published(c)),
      /two keys are published/,
    ],
    [
      'a public JWK with another kid',
      ring({ ...signing(a), publicJwk: b.publicJwk }),
      /public JWK differ/,
    ],
    [
      'a public JWK with another alg',
      ring({ ...signing(a), algorithm: 'ES384' }),
      /public JWK differ/,
    ],
    ['a former key with a private part', ring(keptPrivate as RingKey), /kept its private part/],
    ['a signing key without one', ring(lostPrivate as RingKey), /no private part/],
  ])('refuses %s', (_rule, given, reason) => {
    const check = (): KeyRing => assertRing(given);
    expect(check).toThrow(reason);
    expect(check).toThrow(expect.objectContaining({ code: 'ERR_KEY_RING_CORRUPT' }));
    expect(check).not.toThrow(/private-/);
  });

  it('stands before what leaves the state machine: it never answers a ring it would refuse', () => {
    expect(() => advance(NO_KEYS, T0, POLICY, [a, b])).toThrow(/two keys are signing/);
    expect(() => advance(ring(signing()), PUBLISHES_AT, POLICY, [{ ...a }])).toThrow(/share a kid/);
  });
});
