import { KeyError, type KeyErrorCode } from '../kernel/errors.js';
import { type KeyAlgorithm, keyAlgorithmRow } from './algorithms.js';
import type { CompromisedKey, KeyFacts, KeyPhase } from './key-ring.js';

/** What operators are told of keys: never a private part. */

/** One key as operators see it: public facts only. */
export interface KeyDescription {
  readonly kid: string;
  readonly algorithm: KeyAlgorithm;
  /** `'enc'`: one that access tokens are encrypted with, and nobody but this service ever has. */
  readonly use: 'sig' | 'enc';
  /** Of one with the use `'enc'`, `signing` encrypts, and `verifying` decrypts what it encrypted. */
  readonly phase: Exclude<KeyPhase, 'retired'>;
  readonly publishedAt: Date;
  /** When it starts or started to sign. */
  readonly signsFrom: Date;
  /** When it leaves the ring; only a key that stopped signing knows, and a configured one never does. */
  readonly retiresAt: Date | null;
}

/** What `rotate` set in motion. */
export interface Rotation {
  /** The key that takes over. */
  readonly kid: string;
  /** When it starts to sign: once every verifier has had time to fetch it. */
  readonly signsFrom: Date;
}

/** What `compromise` did, or would do. */
export interface Compromise {
  readonly kid: string;
  /** The phase the key was in; `compromised` if it was out already. */
  readonly phase: KeyDescription['phase'];
  /** The key that signs in its stead: `null` if it did not sign, or would have to be made yet. */
  readonly successor: string | null;
  /** How many sessions hold access tokens it may have signed; `null` if nothing counts sessions. */
  readonly sessions: number | null;
}

/** How the ring stands on this instance. */
export interface KeyRingHealth {
  /** `stale`: the store was not heard of for longer than `outage.maxLag`. */
  readonly status: 'ok' | 'failing' | 'stale';
  /** Milliseconds since the store last confirmed what this instance knows; 0 for a configured key. */
  readonly lag: number;
  /** The error code of the last attempt, if it failed. */
  readonly code: KeyErrorCode | null;
}

/** @internal */
export function describeKey(key: KeyFacts): KeyDescription {
  const retiresAt = key.phase === 'verifying' ? key.retiresAt : Infinity;
  return {
    kid: key.kid,
    algorithm: key.algorithm,
    use: keyAlgorithmRow(key.algorithm).use,
    phase: key.phase,
    publishedAt: new Date(key.publishedAt),
    signsFrom: new Date(key.phase === 'published' ? key.signsFrom : key.signingSince),
    retiresAt: Number.isFinite(retiresAt) ? new Date(retiresAt) : null,
  };
}

/** @internal Its dates are those of the compromise and of when it is forgotten. */
export function describeCompromisedKey(key: CompromisedKey): KeyDescription {
  const { kid, algorithm } = key;
  const compromisedAt = new Date(key.compromisedAt);
  return {
    kid,
    algorithm,
    use: keyAlgorithmRow(algorithm).use,
    phase: 'compromised',
    publishedAt: compromisedAt,
    signsFrom: compromisedAt,
    retiresAt: new Date(key.forgottenAt),
  };
}

/**
 * @internal What the compromise of a key did to the keys there were before it, or would do to them.
 * @throws KeyError `ERR_KEY_UNKNOWN` if there is no such key
 */
export function describeCompromise(
  kid: string,
  before: readonly KeyDescription[],
  after: readonly KeyDescription[],
): Omit<Compromise, 'sessions'> {
  const known = [...before, ...after].find((key) => key.kid === kid);
  if (known === undefined) throw unknownKey();
  const { phase, algorithm } = known;
  const isDone = after.some((key) => key.kid === kid && key.phase === 'compromised');
  const successor = after.find(
    (key) => key.algorithm === algorithm && key.phase === (isDone ? 'signing' : 'published'),
  );
  return { kid, phase, successor: phase === 'signing' ? (successor?.kid ?? null) : null };
}

/** @internal */
export function unknownKey(): KeyError {
  return new KeyError('ERR_KEY_UNKNOWN', 'The key ring has no key with this kid.');
}
