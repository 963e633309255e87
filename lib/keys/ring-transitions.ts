import { KeyError } from '../kernel/errors.js';
import { isEncryption, type KeyAlgorithm, keyAlgorithmRow } from './algorithms.js';
import type { EncryptionJwk } from './encryption-key.js';
import type { PrivateJwk, PublicJwk } from './key-material.js';
import {
  assertRing,
  type CompromisedKey,
  corrupt,
  type CurrentKey,
  findPublished,
  findSigning,
  type FormerKey,
  type KeyPhase,
  type KeyRing,
  type PublishedKey,
  type RingKey,
  signingAmong,
} from './key-ring.js';

/**
 * The life of signing keys as a pure state machine: every function takes (ring, now, policy) and
 * returns the next ring, so that any number of instances compute the same one.
 */

/** Lengths in milliseconds. */
export interface RingPolicy {
  /** The first is what signs unless told otherwise; one may be there to encrypt with. */
  readonly algorithms: readonly KeyAlgorithm[];
  readonly rotateEvery: number;
  readonly publishAhead: number;
  /**
   * How long the first key to encrypt with is published in a ring that had none.
   * @defaultValue `publishAhead`
   */
  readonly encryptsAfter?: number;
  readonly retainFor: number;
}

/** A generated key that has not joined a ring yet. */
export interface FreshKey {
  readonly kid: string;
  readonly algorithm: KeyAlgorithm;
  readonly publicJwk: PublicJwk | EncryptionJwk;
  /** `null` when it lies in the key vault. */
  readonly privateJwk: PrivateJwk | null;
}

export interface RingChange {
  readonly kid: string;
  readonly algorithm: KeyAlgorithm;
  readonly phase: KeyPhase;
}

export interface RingStep {
  readonly ring: KeyRing;
  readonly changes: readonly RingChange[];
}

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
    const isOver = endsAt(key, policy) <= now;
    if (key.phase === 'signing' && (isOver || isSucceeded(key, anchored, successors, policy))) {
      return [stopSigning(key, now, policy)];
    }
    return isOver ? [] : [key];
  });
  const due = keysDue({ ...ring, keys: anchored }, now, policy);
  for (const key of fresh.filter(({ algorithm }) => due.includes(algorithm))) {
    keys.push(ring.keys.length === 0 ? first(key, now) : successorOf(key, anchored, now, policy));
  }
  const compromised = ring.compromised.filter(({ forgottenAt }) => forgottenAt > now);
  return step(ring, {
    keys,
    compromised: compromised.length < ring.compromised.length ? compromised : ring.compromised,
  });
}

/** The algorithms for which `advance` needs a fresh key now. */
export function keysDue(ring: KeyRing, now: number, policy: RingPolicy): readonly KeyAlgorithm[] {
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
  const { ring: advanced } = advance(ring, now, policy, fresh);
  const keys = [...advanced.keys];
  for (const key of fresh) {
    const isKnown = keys.some(({ kid }) => kid === key.kid);
    if (isKnown || findPublished({ ...advanced, keys }, key.algorithm) !== undefined) continue;
    keys.push(publish(key, now, now + policy.publishAhead));
  }
  return step(ring, { keys, compromised: advanced.compromised });
}

/** A change as the keeper of a ring makes it: the keys it needs, and the step it takes with them. */
export interface RingTransition {
  /** Whether it does nothing before the ring is due for a change by schedule. */
  readonly isRoutine: boolean;
  needs(ring: KeyRing, now: number): readonly KeyAlgorithm[];
  take(ring: KeyRing, now: number, fresh: readonly FreshKey[]): RingStep;
}

/** `advance` as a transition. */
export function advancing(policy: RingPolicy): RingTransition {
  return {
    isRoutine: true,
    needs: (ring, now) => keysDue(ring, now, policy),
    take: (ring, now, fresh) => advance(ring, now, policy, fresh),
  };
}

/** `beginRotation` as a transition, for the algorithms of the policy. */
export function rotating(policy: RingPolicy): RingTransition {
  return {
    isRoutine: false,
    needs: (ring) =>
      policy.algorithms.filter((algorithm) => findPublished(ring, algorithm) === undefined),
    take: (ring, now, fresh) => beginRotation(ring, now, policy, fresh),
  };
}

/**
 * Takes a key out at once, whatever its phase. If it signed, its successor signs from now on: the
 * published one, else a fresh one. A key that is out already changes nothing.
 *
 * The step throws `KeyError` `ERR_KEY_UNKNOWN` if the ring has no such key.
 */
export function compromise(kid: string): RingTransition {
  const find = (ring: KeyRing): RingKey | undefined => ring.keys.find((key) => key.kid === kid);
  const isAlone = (ring: KeyRing, key: RingKey | undefined): key is CurrentKey =>
    key?.phase === 'signing' && findPublished(ring, key.algorithm) === undefined;
  return {
    isRoutine: false,
    needs: (ring) => {
      const key = find(ring);
      return isAlone(ring, key) ? [key.algorithm] : [];
    },
    take: (ring, now, fresh) => {
      const key = find(ring);
      if (key === undefined) {
        if (ring.compromised.some((candidate) => candidate.kid === kid)) return step(ring, ring);
        throw new KeyError('ERR_KEY_UNKNOWN', 'The key ring has no key with this kid.');
      }
      const { algorithm } = key;
      const successor = key.phase === 'signing' ? findPublished(ring, algorithm) : undefined;
      const keys = ring.keys
        .filter((other) => other !== key)
        .map((other) => (other === successor ? startSigning(successor, now) : other));
      if (isAlone(ring, key)) {
        const made = fresh.find((candidate) => candidate.algorithm === algorithm);
        if (made === undefined) throw corrupt('a compromised key has no successor');
        keys.push(first(made, now));
      }
      const forgottenAt = now + MARK_KEPT;
      return step(ring, {
        keys,
        compromised: [...ring.compromised, { kid, algorithm, compromisedAt: now, forgottenAt }],
      });
    },
  };
}

/**
 * How long a compromised key is remembered: longer than anyone would bring an old state of the store
 * back, whether by mistake or with the stolen key in hand.
 */
const MARK_KEPT = 400 * 86_400_000;

/** Adds the word that keys are compromised to a ring that was made without it. */
export function remembering(marks: readonly CompromisedKey[]): RingTransition {
  return {
    isRoutine: false,
    needs: () => [],
    take: (ring, now) => {
      const known = new Set([...ring.keys, ...ring.compromised].map(({ kid }) => kid));
      const missing = marks.filter((mark) => !known.has(mark.kid) && mark.forgottenAt > now);
      const compromised = [...ring.compromised, ...missing];
      return step(ring, missing.length === 0 ? ring : { ...ring, compromised });
    },
  };
}

/** A key that leaves this much before its time was lost, not retired: clocks differ by less. */
const EARLY = 60_000;

/**
 * Brings back, for verifying, keys of a ring that this instance knew and that the store has lost: a
 * key leaves a ring only when its time is over, or by name, as compromised. Who was cut off since
 * `knownAt` cannot tell a loss from what happened meanwhile, so a key that signed then verifies no
 * longer than if it had stopped then.
 */
export function reinstating(known: KeyRing, knownAt: number, policy: RingPolicy): RingTransition {
  return {
    isRoutine: false,
    needs: () => [],
    take: (ring, now) => {
      const isGone = ({ kid }: RingKey): boolean =>
        ![...ring.keys, ...ring.compromised].some((key) => key.kid === kid);
      const lost = known.keys
        .filter(isGone)
        .flatMap((key): FormerKey[] => {
          if (key.phase === 'signing') return [stopSigning(key, Math.min(now, knownAt), policy)];
          return key.phase === 'verifying' ? [key] : [];
        })
        .filter(({ retiresAt }) => retiresAt > now + Math.min(EARLY, policy.retainFor / 2));
      return step(ring, lost.length === 0 ? ring : { ...ring, keys: [...ring.keys, ...lost] });
    },
  };
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
      : endsAt(key, policy),
  );
  const forgotten = ring.compromised.map(({ forgottenAt }) => forgottenAt);
  return Math.min(Infinity, ...publications, ...moves, ...forgotten);
}

/** The ring after a change, with what differs from before. */
function step(before: KeyRing, after: KeyRing): RingStep {
  const moved = after.keys.filter((key) => !before.keys.includes(key));
  const gone = before.keys.filter(({ kid }) => !after.keys.some((key) => key.kid === kid));
  const isCompromised = ({ kid }: RingKey): boolean =>
    after.compromised.some((candidate) => candidate.kid === kid);
  const changes: RingChange[] = [
    ...gone
      .filter(isCompromised)
      .map(({ kid, algorithm }) => ({ kid, algorithm, phase: 'compromised' as const })),
    ...moved.map(({ kid, algorithm, phase }) => ({ kid, algorithm, phase })),
    ...gone
      .filter((key) => !isCompromised(key))
      .map(({ kid, algorithm }) => ({ kid, algorithm, phase: 'retired' as const })),
  ];
  if (changes.length === 0 && after.compromised === before.compromised) {
    return { ring: before, changes };
  }
  return { ring: assertRing(after), changes };
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
  const current = signingAmong(keys, key.algorithm);
  if (current !== undefined) {
    const scheduled = current.signingSince + policy.rotateEvery;
    return publish(key, now, Math.max(scheduled, now + policy.publishAhead));
  }
  const { publishAhead, encryptsAfter = publishAhead } = policy;
  return publish(key, now, now + (isEncryption(key.algorithm) ? encryptsAfter : publishAhead));
}

function publish(key: FreshKey, now: number, signsFrom: number): PublishedKey {
  return { ...key, phase: 'published', publishedAt: now, signsFrom };
}

function startSigning({ signsFrom: _, ...key }: PublishedKey, now: number): CurrentKey {
  return { ...key, phase: 'signing', signingSince: now };
}

function stopSigning(
  { privateJwk, ...key }: CurrentKey,
  now: number,
  policy: RingPolicy,
): FormerKey {
  const isShared = keyAlgorithmRow(key.algorithm).symmetric && privateJwk !== null;
  return {
    ...key,
    ...(isShared ? { sharedSecret: privateJwk } : {}),
    phase: 'verifying',
    verifyingSince: now,
    retiresAt: now + policy.retainFor,
  };
}

/** Another key of its algorithm takes over; or of any of the policy, once its own has left that. */
function isSucceeded(
  key: CurrentKey,
  keys: readonly RingKey[],
  successors: readonly KeyAlgorithm[],
  policy: RingPolicy,
): boolean {
  if (policy.algorithms.includes(key.algorithm)) return successors.includes(key.algorithm);
  // Nothing takes over from a key to encrypt with, nor does one from a key that signs.
  if (isEncryption(key.algorithm)) return false;
  return policy.algorithms.some(
    (algorithm) =>
      !isEncryption(algorithm) &&
      (successors.includes(algorithm) || signingAmong(keys, algorithm) !== undefined),
  );
}

function publishesSuccessorAt(current: CurrentKey, policy: RingPolicy): number {
  return current.signingSince + policy.rotateEvery - policy.publishAhead;
}

/**
 * When a key leaves the ring, or stops encrypting because nobody does any more. A published key
 * outside the policy waits for an instance whose policy has it, as in a rolling deployment, and is
 * dropped when none came; one that encrypts waits until such an instance would have replaced it.
 */
function endsAt(key: RingKey, policy: RingPolicy): number {
  switch (key.phase) {
    case 'verifying':
      return key.retiresAt;
    case 'signing':
      return isEncryption(key.algorithm) && !policy.algorithms.includes(key.algorithm)
        ? key.signingSince + policy.rotateEvery + policy.publishAhead
        : Infinity;
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
