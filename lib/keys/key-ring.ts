import { KeyError } from '../kernel/errors.js';
import type { SigningAlgorithm } from './algorithms.js';
import type { PrivateJwk, PublicJwk } from './key-material.js';

/**
 * The life of signing keys as a pure state machine: every function takes (ring, now, policy) and
 * returns the next ring, so that any number of instances compute the same one.
 *
 * Invariants:
 * - at most one key of an algorithm is signing, and at most one is published to succeed it;
 * - a key that succeeds another was in the JWKS for the whole publish-ahead time before it signs,
 *   so that every verifier has met it (only the very first key of an algorithm signs at once: no
 *   verifier holds an older JWKS);
 * - a key that stopped signing has no private part any more, and verifies until the last token it
 *   signed has expired;
 * - no two keys share a `kid`.
 */

interface KeyIdentity {
  readonly kid: string;
  readonly algorithm: SigningAlgorithm;
  readonly publicJwk: PublicJwk;
  /** Instants are milliseconds since the epoch. */
  readonly publishedAt: number;
}

export interface PublishedKey extends KeyIdentity {
  readonly phase: 'published';
  readonly privateJwk: PrivateJwk;
  readonly signsFrom: number;
}

export interface CurrentKey extends KeyIdentity {
  readonly phase: 'signing';
  readonly privateJwk: PrivateJwk;
  readonly signingSince: number;
}

export interface FormerKey extends KeyIdentity {
  readonly phase: 'verifying';
  readonly signingSince: number;
  readonly verifyingSince: number;
  readonly retiresAt: number;
}

export type RingKey = PublishedKey | CurrentKey | FormerKey;
export type KeyPhase = RingKey['phase'] | 'retired';

export interface KeyRing {
  readonly keys: readonly RingKey[];
}

/** Lengths in milliseconds. */
export interface RingPolicy {
  readonly algorithms: readonly SigningAlgorithm[];
  readonly rotateEvery: number;
  readonly publishAhead: number;
  readonly retainFor: number;
}

/** A generated key that has not joined a ring yet. */
export interface FreshKey {
  readonly kid: string;
  readonly algorithm: SigningAlgorithm;
  readonly publicJwk: PublicJwk;
  readonly privateJwk: PrivateJwk;
}

export interface RingChange {
  readonly kid: string;
  readonly algorithm: SigningAlgorithm;
  readonly phase: KeyPhase;
}

export interface RingStep {
  readonly ring: KeyRing;
  readonly changes: readonly RingChange[];
}

export const EMPTY_RING: KeyRing = { keys: [] };

/** Moves every key to the phase it is due for. `fresh` serves the algorithms `keysDue` names. */
export function advance(
  ring: KeyRing,
  now: number,
  policy: RingPolicy,
  fresh: readonly FreshKey[],
): RingStep {
  const changes: RingChange[] = [];
  const changed = <Key extends RingKey>(key: Key): Key => {
    changes.push({ kid: key.kid, algorithm: key.algorithm, phase: key.phase });
    return key;
  };

  const keys: RingKey[] = [];
  for (const key of ring.keys) {
    if (key.phase === 'verifying' && key.retiresAt <= now) {
      changes.push({ kid: key.kid, algorithm: key.algorithm, phase: 'retired' });
    } else if (key.phase === 'signing' && isSuperseded(ring, key, now, policy)) {
      keys.push(changed(stopSigning(key, now, policy)));
    } else if (key.phase === 'published' && key.signsFrom <= now) {
      keys.push(changed(startSigning(key, now)));
    } else {
      keys.push(key);
    }
  }
  const due = keysDue(ring, now, policy);
  for (const key of fresh.filter(({ algorithm }) => due.includes(algorithm))) {
    const current = findSigning(ring, key.algorithm);
    keys.push(
      changed(current === undefined ? first(key, now) : successor(key, current, now, policy)),
    );
  }
  return { ring: assertRing({ keys }), changes };
}

/** The algorithms for which `advance` needs a fresh key now. */
export function keysDue(
  ring: KeyRing,
  now: number,
  policy: RingPolicy,
): readonly SigningAlgorithm[] {
  return policy.algorithms.filter((algorithm) => {
    if (findPublished(ring, algorithm) !== undefined) return false;
    const current = findSigning(ring, algorithm);
    return current === undefined || publishesSuccessorAt(current, policy) <= now;
  });
}

/**
 * Publishes a successor ahead of schedule; it signs once it was public for the publish-ahead time.
 * A successor that is already published stays the successor: asking twice never makes two.
 */
export function beginRotation(
  ring: KeyRing,
  now: number,
  policy: RingPolicy,
  fresh: readonly FreshKey[],
): RingStep {
  const step = advance(ring, now, policy, fresh);
  const keys = [...step.ring.keys];
  const changes = [...step.changes];
  for (const { algorithm, ...key } of fresh) {
    if (keys.some(({ kid }) => kid === key.kid)) continue;
    if (findPublished(step.ring, algorithm) !== undefined) continue;
    keys.push({
      ...key,
      algorithm,
      phase: 'published',
      publishedAt: now,
      signsFrom: now + policy.publishAhead,
    });
    changes.push({ kid: key.kid, algorithm, phase: 'published' });
  }
  return { ring: assertRing({ keys }), changes };
}

/** When `advance` will next change something; `Infinity` for a ring that stays as it is. */
export function nextChangeAt(ring: KeyRing, policy: RingPolicy): number {
  if (policy.algorithms.some((algorithm) => findSigning(ring, algorithm) === undefined)) {
    return -Infinity;
  }
  return Math.min(
    ...ring.keys.map((key) => {
      switch (key.phase) {
        case 'published':
          return key.signsFrom;
        case 'signing':
          return findPublished(ring, key.algorithm) === undefined
            ? publishesSuccessorAt(key, policy)
            : Infinity;
        case 'verifying':
          return key.retiresAt;
      }
    }),
    Infinity,
  );
}

export function findSigning(ring: KeyRing, algorithm: SigningAlgorithm): CurrentKey | undefined {
  return ring.keys.find(
    (key): key is CurrentKey => key.phase === 'signing' && key.algorithm === algorithm,
  );
}

export function findPublished(
  ring: KeyRing,
  algorithm: SigningAlgorithm,
): PublishedKey | undefined {
  return ring.keys.find(
    (key): key is PublishedKey => key.phase === 'published' && key.algorithm === algorithm,
  );
}

/**
 * Refuses a ring that breaks an invariant.
 * @throws KeyError `ERR_KEY_RING_CORRUPT`
 */
export function assertRing(ring: KeyRing): KeyRing {
  const kids = new Set<string>();
  const roles = new Set<string>();
  for (const key of ring.keys) {
    if (kids.has(key.kid)) throw corrupt('two keys share a kid');
    kids.add(key.kid);
    const { publicJwk } = key;
    if (publicJwk.kid !== key.kid || publicJwk.alg !== key.algorithm) {
      throw corrupt('a key and its public JWK differ');
    }
    if (key.phase === 'verifying') {
      if ('privateJwk' in key) throw corrupt('a key that stopped signing kept its private part');
      continue;
    }
    if (key.privateJwk.d === undefined) throw corrupt('a key that signs has no private part');
    const role = `${key.algorithm} ${key.phase}`;
    if (roles.has(role)) throw corrupt(`two keys are ${key.phase} for one algorithm`);
    roles.add(role);
  }
  return ring;
}

function first(key: FreshKey, now: number): CurrentKey {
  return { ...key, phase: 'signing', publishedAt: now, signingSince: now };
}

function successor(
  key: FreshKey,
  current: CurrentKey,
  now: number,
  policy: RingPolicy,
): PublishedKey {
  const scheduled = current.signingSince + policy.rotateEvery;
  const signsFrom = Math.max(scheduled, now + policy.publishAhead);
  return { ...key, phase: 'published', publishedAt: now, signsFrom };
}

function startSigning({ signsFrom: _, ...key }: PublishedKey, now: number): CurrentKey {
  return { ...key, phase: 'signing', signingSince: now };
}

function stopSigning(
  { privateJwk: _, ...key }: CurrentKey,
  now: number,
  policy: RingPolicy,
): FormerKey {
  return { ...key, phase: 'verifying', verifyingSince: now, retiresAt: now + policy.retainFor };
}

function isSuperseded(ring: KeyRing, key: CurrentKey, now: number, policy: RingPolicy): boolean {
  if (!policy.algorithms.includes(key.algorithm)) return true;
  const next = findPublished(ring, key.algorithm);
  return next !== undefined && next.signsFrom <= now;
}

function publishesSuccessorAt(current: CurrentKey, policy: RingPolicy): number {
  return current.signingSince + policy.rotateEvery - policy.publishAhead;
}

function corrupt(reason: string): KeyError {
  return new KeyError('ERR_KEY_RING_CORRUPT', `The key ring cannot be used: ${reason}.`);
}
