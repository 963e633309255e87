import { KeyError } from '../kernel/errors.js';
import type { SigningAlgorithm } from './algorithms.js';
import type { PrivateJwk, PublicJwk } from './key-material.js';

/**
 * The life of signing keys as a pure state machine: every function takes (ring, now, policy) and
 * returns the next ring, so that any number of instances compute the same one.
 *
 * Invariants:
 * - a ring is empty or has a key that signs; only an empty one is started with a new key, so that a
 *   ring that lost its signer is refused and never replaced;
 * - at most one key of an algorithm is signing, and at most one is published to succeed it;
 * - every key but the first of a ring was in the JWKS for the whole publish-ahead time before it
 *   signs, so that every verifier has met it (before the first, no verifier holds a JWKS);
 * - a key of an algorithm that left the policy signs until one of the policy has taken over;
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

/**
 * How far an instant may lie beyond what the policy allows before a clock must have been wrong when
 * it was written. Instances differ by seconds; a clock that was set wrong differs by days.
 */
const CLOCK_SLACK = 3_600_000;

/** Moves every key to the phase it is due for. `fresh` serves the algorithms `keysDue` names. */
export function advance(
  ring: KeyRing,
  now: number,
  policy: RingPolicy,
  fresh: readonly FreshKey[],
): RingStep {
  const anchored = ring.keys.map((key) => anchor(key, now, policy));
  const takesOver = (key: RingKey): boolean =>
    key.phase === 'published' && key.signsFrom <= now && policy.algorithms.includes(key.algorithm);
  const successors = anchored.filter(takesOver).map(({ algorithm }) => algorithm);

  const keys = anchored.flatMap((key): RingKey[] => {
    if (takesOver(key)) return [startSigning(key as PublishedKey, now)];
    if (key.phase === 'signing' && isSucceeded(key, anchored, successors, policy)) {
      return [stopSigning(key, now, policy)];
    }
    return expiresAt(key, policy) <= now ? [] : [key];
  });
  const due = keysDue({ keys: anchored }, now, policy);
  for (const key of fresh.filter(({ algorithm }) => due.includes(algorithm))) {
    keys.push(ring.keys.length === 0 ? first(key, now) : successorOf(key, anchored, now, policy));
  }
  return step(ring, keys);
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
  const keys = [...advance(ring, now, policy, fresh).ring.keys];
  for (const key of fresh) {
    const isKnown = keys.some(({ kid }) => kid === key.kid);
    if (isKnown || findPublished({ keys }, key.algorithm) !== undefined) continue;
    keys.push(publish(key, now, now + policy.publishAhead));
  }
  return step(ring, keys);
}

/** When `advance` will next change something; `Infinity` for a ring that stays as it is. */
export function nextChangeAt(ring: KeyRing, policy: RingPolicy): number {
  const publications = policy.algorithms.map((algorithm) => {
    if (findPublished(ring, algorithm) !== undefined) return Infinity;
    const current = findSigning(ring, algorithm);
    return current === undefined ? -Infinity : publishesSuccessorAt(current, policy);
  });
  const moves = ring.keys.map((key) =>
    key.phase === 'published' && policy.algorithms.includes(key.algorithm)
      ? key.signsFrom
      : expiresAt(key, policy),
  );
  return Math.min(Infinity, ...publications, ...moves);
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
  if (!ring.keys.some(({ phase }) => phase === 'signing')) throw corrupt('no key signs');
  return ring;
}

export function corrupt(reason: string): KeyError {
  return new KeyError('ERR_KEY_RING_CORRUPT', `The key ring cannot be used: ${reason}.`);
}

/** The ring after a change, with what differs from before. */
function step(before: KeyRing, keys: readonly RingKey[]): RingStep {
  const moved = keys.filter((key) => !before.keys.includes(key));
  const gone = before.keys.filter(({ kid }) => !keys.some((key) => key.kid === kid));
  const changes = [...moved, ...gone.map((key) => ({ ...key, phase: 'retired' as const }))];
  if (changes.length === 0) return { ring: before, changes };
  return {
    ring: assertRing({ keys }),
    changes: changes.map(({ kid, algorithm, phase }) => ({ kid, algorithm, phase })),
  };
}

function first(key: FreshKey, now: number): CurrentKey {
  return { ...key, phase: 'signing', publishedAt: now, signingSince: now };
}

function successorOf(
  key: FreshKey,
  keys: readonly RingKey[],
  now: number,
  policy: RingPolicy,
): PublishedKey {
  const current = findSigning({ keys }, key.algorithm);
  const scheduled = current === undefined ? now : current.signingSince + policy.rotateEvery;
  return publish(key, now, Math.max(scheduled, now + policy.publishAhead));
}

function publish(key: FreshKey, now: number, signsFrom: number): PublishedKey {
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

/** Another key of its algorithm takes over; or of any of the policy, once its own has left that. */
function isSucceeded(
  key: CurrentKey,
  keys: readonly RingKey[],
  successors: readonly SigningAlgorithm[],
  policy: RingPolicy,
): boolean {
  if (policy.algorithms.includes(key.algorithm)) return successors.includes(key.algorithm);
  return (
    successors.length > 0 ||
    policy.algorithms.some((algorithm) => findSigning({ keys }, algorithm) !== undefined)
  );
}

function publishesSuccessorAt(current: CurrentKey, policy: RingPolicy): number {
  return current.signingSince + policy.rotateEvery - policy.publishAhead;
}

/**
 * When a key leaves the ring. A published key outside the policy waits for an instance whose policy
 * has it, as in a rolling deployment, and is dropped when none came.
 */
function expiresAt(key: RingKey, policy: RingPolicy): number {
  switch (key.phase) {
    case 'verifying':
      return key.retiresAt;
    case 'signing':
      return Infinity;
    case 'published':
      return policy.algorithms.includes(key.algorithm)
        ? Infinity
        : key.signsFrom + policy.retainFor;
  }
}

/**
 * Pulls in instants that only a clock set wrong can have written, lest a key wait for them for
 * years. Nothing signs earlier for it: the publish-ahead time starts anew.
 */
function anchor(key: RingKey, now: number, policy: RingPolicy): RingKey {
  const { rotateEvery, publishAhead, retainFor } = policy;
  const isOff = (instant: number, latest: number): boolean => instant > latest + CLOCK_SLACK;
  switch (key.phase) {
    case 'published':
      return isOff(key.signsFrom, now + Math.max(rotateEvery, publishAhead))
        ? { ...key, publishedAt: now, signsFrom: now + publishAhead }
        : key;
    case 'signing':
      return isOff(key.signingSince, now) ? { ...key, signingSince: now } : key;
    case 'verifying':
      return isOff(key.retiresAt, now + retainFor) ? { ...key, retiresAt: now + retainFor } : key;
  }
}
