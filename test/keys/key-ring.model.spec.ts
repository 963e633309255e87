/**
 * The promises in the header of lib/keys/key-ring.ts, held against random lives: random policies,
 * clocks that jump both ways, rotations by hand, and several instances that compute from rings they
 * read long ago and store them by compare-and-swap.
 */
import { isDeepStrictEqual } from 'node:util';

import * as fc from 'fast-check';

import { isEncryption } from '../../lib/keys/algorithms.js';
import { isSigner, type KeyRing, type RingKey } from '../../lib/keys/key-ring.js';
import {
  advance,
  beginRotation,
  keysDue,
  nextChangeAt,
  type RingPolicy,
} from '../../lib/keys/ring-transitions.js';
import { DAY, freshFor, HOUR, NO_KEYS, stored, take } from './ring-mother.js';

const INSTANCES = 4;

const policies: fc.Arbitrary<RingPolicy> = fc
  .record({
    algorithms: fc.constantFrom<RingPolicy['algorithms']>(
      ['ES256'],
      ['ES256', 'Ed25519'],
      ['ES256', 'A256KW'],
    ),
    publishAhead: fc.integer({ min: 1, max: 3 * DAY }),
    signsAlone: fc.integer({ min: 1, max: 40 * DAY }),
    retainFor: fc.integer({ min: 1, max: 10 * DAY }),
  })
  .map(({ signsAlone, ...policy }) => ({
    ...policy,
    // The resolver refuses a rotation that is not longer than publish-ahead.
    rotateEvery: policy.publishAhead + signsAlone,
  }));

type Action =
  | { readonly do: 'wait'; readonly ms: number }
  /** Moves to the next change of the stored ring, or a millisecond to either side of it. */
  | { readonly do: 'wait for the next change'; readonly offset: number }
  | { readonly do: 'read'; readonly instance: number }
  | { readonly do: 'advance' | 'rotate'; readonly instance: number };

const NO_POLICY: RingPolicy = { algorithms: [], rotateEvery: 0, publishAhead: 0, retainFor: 0 };

const instance = fc.nat({ max: INSTANCES - 1 });
const waits = fc.integer({ min: 1, max: 20 * DAY });
const forwards: readonly fc.Arbitrary<Action>[] = [
  fc.record({ do: fc.constant('wait'), ms: fc.oneof(waits, fc.integer({ min: 0, max: HOUR })) }),
  fc.record({
    do: fc.constant('wait for the next change'),
    offset: fc.constantFrom(-1, 0, 0, 0, 1),
  }),
  fc.record({ do: fc.constant('read'), instance }),
  fc.record({ do: fc.constantFrom('advance', 'advance', 'rotate'), instance }),
];
const backwards = fc.record({ do: fc.constant<'wait'>('wait'), ms: waits.map((ms) => -ms) });

const lives = (...actions: readonly fc.Arbitrary<Action>[]): fc.Arbitrary<readonly Action[]> =>
  fc.array(fc.oneof(...actions), { minLength: 1, maxLength: 120, size: 'max' });

interface Sighting {
  readonly phases: RingKey['phase'][];
  /** The earliest reading of the clock at which it was public; the earliest while verifying. */
  publicFrom: number;
  verifyingFrom: number;
  readonly first: boolean;
}

/** What an auditor complains of who sees every ring that was ever stored. */
class Auditor {
  readonly complaints: string[] = [];
  readonly #seen = new Map<string, Sighting>();
  #previous: KeyRing = NO_KEYS;

  constructor(
    private readonly policy: RingPolicy,
    /** The algorithms that every instance signs with. */
    private readonly agreed: readonly string[],
  ) {}

  inspect(ring: KeyRing, now: number): void {
    const kids = new Set(ring.keys.map(({ kid }) => kid));
    this.#demand({ 'no kid occurs twice': kids.size === ring.keys.length });
    this.#inspectRoles(ring);
    for (const key of ring.keys) this.#inspectKey(key, now);
    for (const key of this.#previous.keys) if (!kids.has(key.kid)) this.#inspectLeaver(key, now);
    this.#previous = ring;
  }

  /** Rules by their wording, and whether each holds. */
  #demand(rules: Readonly<Record<string, boolean>>): void {
    for (const [rule, holds] of Object.entries(rules)) if (!holds) this.complaints.push(rule);
  }

  #inspectRoles({ keys }: KeyRing): void {
    const roles = keys.filter(({ phase }) => phase !== 'verifying').map(roleOf);
    this.#demand({
      'some key signs': keys.some(isSigner),
      'no two keys of an algorithm sign, or are to succeed': new Set(roles).size === roles.length,
      'a key of every algorithm signs': this.agreed.every((algorithm) =>
        roles.includes(`signing ${algorithm}`),
      ),
    });
  }

  #inspectKey(key: RingKey, now: number): void {
    const known = this.#seen.get(key.kid);
    const seen: Sighting = known ?? {
      phases: [],
      publicFrom: Infinity,
      verifyingFrom: Infinity,
      first: this.#previous === NO_KEYS,
    };
    this.#seen.set(key.kid, seen);
    const isNew = seen.phases.at(-1) !== key.phase;
    if (isNew) seen.phases.push(key.phase);
    seen.publicFrom = Math.min(seen.publicFrom, now);
    if (key.phase === 'verifying') seen.verifyingFrom = Math.min(seen.verifyingFrom, now);
    // Only the very first key was never just published.
    const lifetime = ['published', 'signing', 'verifying'].slice(seen.first ? 1 : 0);
    const wasThere = this.#previous.keys.some(({ kid }) => kid === key.kid);
    const publicFor =
      key.phase === 'published'
        ? key.signsFrom - seen.publicFrom
        : key.phase === 'signing' && isNew && !seen.first
          ? key.signingSince - seen.publicFrom
          : Infinity;
    this.#demand({
      'phases come in order, none twice': lifetime.join().startsWith(seen.phases.join()),
      'a retired key does not come back': known === undefined || wasThere,
      'a key is public for the publish-ahead time first': publicFor >= this.policy.publishAhead,
      'only a former key pair has no private part':
        JSON.stringify(key).includes('private') ===
        (key.phase !== 'verifying' || isEncryption(key.algorithm)),
    });
  }

  #inspectLeaver(key: RingKey, now: number): void {
    const { verifyingFrom = NaN } = this.#seen.get(key.kid) ?? {};
    const { retainFor } = this.policy;
    // A successor nobody wants any more goes, too: its algorithm left the policy.
    const stayed = key.phase === 'published' ? now - key.signsFrom : now - verifyingFrom;
    this.#demand({
      'only a key leaves that does not sign': key.phase !== 'signing',
      'a wanted successor does not leave':
        key.phase !== 'published' || !this.agreed.includes(key.algorithm),
      'it stayed for the retention time': stayed >= retainFor,
    });
  }
}

function roleOf({ phase, algorithm }: RingKey): string {
  return `${phase} ${algorithm}`;
}

interface Snapshot {
  readonly version: number | null;
  readonly ring: KeyRing;
}

/** Lives through the actions, shows the witness every ring that gets stored; the complaints. */
function live(
  policies: readonly RingPolicy[],
  actions: readonly Action[],
  witness: (ring: KeyRing, now: number) => void,
): readonly string[] {
  const [policy = NO_POLICY] = policies;
  const agreed = policy.algorithms.filter((algorithm) =>
    policies.every(({ algorithms }) => algorithms.includes(algorithm)),
  );
  const auditor = new Auditor(policy, agreed);
  let now = Date.UTC(2026, 0, 1);
  let standing: Snapshot = { version: null, ring: NO_KEYS };
  const read = Array.from({ length: INSTANCES }, () => standing);
  for (const action of actions) {
    switch (action.do) {
      case 'wait':
        now += action.ms;
        break;
      case 'wait for the next change': {
        const next = nextChangeAt(standing.ring, policy);
        if (Number.isFinite(next)) now = Math.max(now, next + action.offset);
        break;
      }
      case 'read':
        read[action.instance] = { ...standing, ring: stored(standing.ring) };
        break;
      case 'advance':
      case 'rotate': {
        const base = read[action.instance] ?? standing;
        const own = policies[action.instance % policies.length] ?? policy;
        const step =
          action.do === 'advance'
            ? take(advance, base.ring, now, own)
            : beginRotation(base.ring, now, own, freshFor(own.algorithms));
        // The swap: a ring that was computed from anything but the standing one is lost.
        if (step.changes.length === 0 || base.version !== standing.version) break;
        standing = { version: (standing.version ?? 0) + 1, ring: step.ring };
        read[action.instance] = standing;
        auditor.inspect(standing.ring, now);
        witness(standing.ring, now);
        break;
      }
    }
  }
  return auditor.complaints;
}

describe('the key ring, over random lives', () => {
  it('keeps its invariants at every step, also when clocks run backwards', () => {
    let rings = 0;
    fc.assert(
      fc.property(policies, lives(...forwards, backwards), (policy, actions) => {
        expect(live([policy], actions, () => rings++)).toEqual([]);
      }),
      { numRuns: 2_000 },
    );
    // The lives were not empty: many rings were seen.
    expect(rings).toBeGreaterThan(5_000);
  });

  it('keeps them while instances of two releases disagree on the algorithm', () => {
    const releases = policies.map((policy) =>
      (['ES256', 'Ed25519'] as const).map((algorithm) => ({ ...policy, algorithms: [algorithm] })),
    );
    fc.assert(
      fc.property(releases, lives(...forwards, backwards), (both, actions) => {
        expect(live(both, actions, () => {})).toEqual([]);
      }),
      { numRuns: 1_000 },
    );
  });

  it('keeps them while some instances encrypt and others do not know of it', () => {
    const releases = policies.map((policy) =>
      [['ES256'] as const, ['ES256', 'A256KW'] as const].map((algorithms) => ({
        ...policy,
        algorithms,
      })),
    );
    fc.assert(
      fc.property(releases, lives(...forwards, backwards), (both, actions) => {
        expect(live(both, actions, () => {})).toEqual([]);
      }),
      { numRuns: 1_000 },
    );
  });

  it('knows exactly when it changes next: nothing before, something then', () => {
    fc.assert(
      fc.property(policies, lives(...forwards, backwards), fc.nat(), (policy, actions, early) => {
        const wrong: string[] = [];
        live([policy], actions, (ring, now) => {
          const next = nextChangeAt(ring, policy);
          // One step does all that is due: what remains lies in the future.
          if (!Number.isFinite(next) || next <= now) wrong.push(`next change at ${next}`);
          for (const before of [next - 1, now, now + (early % (next - now))]) {
            const rest = take(advance, ring, before, policy);
            const same = isDeepStrictEqual(rest, { ring, changes: [] });
            if (!same || keysDue(ring, before, policy).length > 0) wrong.push('changed before');
          }
          if (take(advance, ring, next, policy).changes.length === 0) wrong.push('nothing then');
        });
        expect(wrong).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });

  it('stays small: as many former keys as can hand over within the retention time', () => {
    fc.assert(
      fc.property(policies, lives(...forwards), (policy, actions) => {
        const { publishAhead, retainFor, algorithms } = policy;
        // Each has to be public before it signs, so hand-overs are at least that far apart.
        const former = Math.ceil(retainFor / publishAhead) + 1;
        let latest = -Infinity;
        let most = 0;
        live([policy], actions, (ring, now) => {
          // Waiting for a change that is overdue is a step back, too.
          latest = now >= latest ? now : Infinity;
          if (latest === now) most = Math.max(most, ring.keys.length);
        });
        expect(most).toBeLessThanOrEqual(algorithms.length * (2 + former));
      }),
      { numRuns: 500 },
    );
  });

  it('is the same on every instance: a function of ring, time and policy alone', () => {
    fc.assert(
      fc.property(policies, lives(...forwards, backwards), (policy, actions) => {
        live([policy], actions, (ring) => {
          const now = nextChangeAt(ring, policy);
          const fresh = freshFor(keysDue(ring, now, policy));
          const here = advance(ring, now, policy, fresh);
          expect(isDeepStrictEqual(advance(stored(ring), now, policy, fresh), here)).toBe(true);
        });
      }),
      { numRuns: 100 },
    );
  });
});
