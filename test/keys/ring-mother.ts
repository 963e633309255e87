import { isEncryption, type KeyAlgorithm } from '../../lib/keys/algorithms.js';
import { EMPTY_RING, type KeyRing } from '../../lib/keys/key-ring.js';
import {
  type FreshKey,
  keysDue,
  type RingPolicy,
  type RingStep,
} from '../../lib/keys/ring-transitions.js';

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

export const POLICY: RingPolicy = {
  algorithms: ['ES256'],
  rotateEvery: 30 * DAY,
  publishAhead: DAY,
  retainFor: DAY,
};

let made = 0;

/** A key for the state machine, which never looks at the material. */
export function freshKey(algorithm: KeyAlgorithm = 'ES256', kid = `key-${++made}`): FreshKey {
  if (isEncryption(algorithm)) {
    const publicJwk = { kty: 'oct', kid, alg: algorithm, use: 'enc' } as const;
    return { kid, algorithm, publicJwk, privateJwk: { ...publicJwk, k: `private-${kid}` } };
  }
  const publicJwk = {
    kty: 'EC',
    kid,
    alg: algorithm,
    use: 'sig',
    crv: 'P-256',
    x: 'x',
    y: 'y',
  } as const;
  return { kid, algorithm, publicJwk, privateJwk: { ...publicJwk, d: `private-${kid}` } };
}

export function freshFor(algorithms: readonly KeyAlgorithm[]): readonly FreshKey[] {
  return algorithms.map((algorithm) => freshKey(algorithm));
}

type Transition = (
  ring: KeyRing,
  now: number,
  policy: RingPolicy,
  fresh: readonly FreshKey[],
) => RingStep;

/** One transition with the keys it asks for, on a ring that may not be written to. */
export function take(
  transition: Transition,
  ring: KeyRing,
  now: number,
  policy: RingPolicy = POLICY,
): RingStep {
  return transition(deepFreeze(ring), now, policy, freshFor(keysDue(ring, now, policy)));
}

/** `phase kid` of each change, in order. */
export function changesOf({ changes }: RingStep): readonly string[] {
  return changes.map(({ phase, kid }) => `${phase} ${kid}`);
}

/** `phase kid` of each key, in order. */
export function phasesOf({ keys }: KeyRing): readonly string[] {
  return keys.map(({ phase, kid }) => `${phase} ${kid}`);
}

/** As a store gives it back. */
export function stored(ring: KeyRing): KeyRing {
  return JSON.parse(JSON.stringify(ring)) as KeyRing;
}

export function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    Object.values(value).forEach(deepFreeze);
  }
  return value;
}

export const NO_KEYS: KeyRing = deepFreeze(EMPTY_RING);
