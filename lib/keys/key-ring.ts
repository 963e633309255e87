import { KeyError } from '../kernel/errors.js';
import { isEncryption, type KeyAlgorithm, keyAlgorithmRow } from './algorithms.js';
import type { EncryptionJwk } from './encryption-key.js';
import type { PrivateJwk, PublicJwk } from './key-material.js';

/**
 * All keys of an issuer, each in a phase of its life.
 *
 * Invariants:
 * - a ring is empty or has a key that signs; only an empty one is started with a new key, so that a
 *   ring that lost its signer is refused and never replaced;
 * - at most one key of an algorithm is signing, and at most one is published to succeed it;
 * - every key but the first of a ring was in the JWKS for the whole publish-ahead time before it
 *   signs, so that every verifier has met it (before the first, no verifier holds a JWKS); only the
 *   successor of a compromised key does not wait, since every token it delays is one an attacker may
 *   have made;
 * - a key of an algorithm that left the policy signs until one of the policy has taken over;
 * - a key to encrypt with goes the same way: published, it decrypts what others may encrypt already;
 *   signing, it encrypts; verifying, it decrypts what it once encrypted. It never stands in for a key
 *   that signs, is in no JWKS, and in no vault;
 * - a key that stopped signing has no private part any more, and verifies until the last token it
 *   signed has expired (of a shared secret there is no other half: it is kept until then);
 * - a compromised key is in no phase, and stays named until the last token it signed has expired, so
 *   that nothing brings it back;
 * - no two keys share a `kid`.
 */

interface KeyIdentity {
  readonly kid: string;
  readonly algorithm: KeyAlgorithm;
  readonly publicJwk: PublicJwk | EncryptionJwk;
  /** Instants are milliseconds since the epoch. */
  readonly publishedAt: number;
}

export interface PublishedKey extends KeyIdentity {
  readonly phase: 'published';
  /** `null` when it lies in the key vault. */
  readonly privateJwk: PrivateJwk | null;
  readonly signsFrom: number;
}

export interface CurrentKey extends KeyIdentity {
  readonly phase: 'signing';
  /** `null` when it lies in the key vault. */
  readonly privateJwk: PrivateJwk | null;
  readonly signingSince: number;
}

export interface FormerKey extends KeyIdentity {
  readonly phase: 'verifying';
  /** Of symmetric algorithms only. */
  readonly sharedSecret?: PrivateJwk;
  readonly signingSince: number;
  readonly verifyingSince: number;
  readonly retiresAt: number;
}

export type RingKey = PublishedKey | CurrentKey | FormerKey;
export type KeyPhase = RingKey['phase'] | 'retired' | 'compromised';

/** What may be said of a key in public. */
export type KeyFacts =
  | Omit<PublishedKey, 'privateJwk'>
  | Omit<CurrentKey, 'privateJwk'>
  | Omit<FormerKey, 'sharedSecret'>;

/** A key without whatever signs. */
export function factsOf(key: RingKey): KeyFacts {
  if (key.phase === 'verifying') {
    const { sharedSecret: _, ...facts } = key;
    return facts;
  }
  const { privateJwk: _, ...facts } = key;
  return facts;
}

/** A key that an operator declared to be in other hands. */
export interface CompromisedKey {
  readonly kid: string;
  readonly algorithm: KeyAlgorithm;
  readonly compromisedAt: number;
  /** When no token it signed can be in force any more. */
  readonly forgottenAt: number;
}

export interface KeyRing {
  readonly keys: readonly RingKey[];
  readonly compromised: readonly CompromisedKey[];
}

export const EMPTY_RING: KeyRing = { keys: [], compromised: [] };

export function findSigning(ring: KeyRing, algorithm: KeyAlgorithm): CurrentKey | undefined {
  return signingAmong(ring.keys, algorithm);
}

export function signingAmong(
  keys: readonly RingKey[],
  algorithm: KeyAlgorithm,
): CurrentKey | undefined {
  return keys.find(
    (key): key is CurrentKey => key.phase === 'signing' && key.algorithm === algorithm,
  );
}

/** A key that makes signatures now. */
export function isSigner({ phase, algorithm }: RingKey): boolean {
  return phase === 'signing' && !isEncryption(algorithm);
}

export function findPublished(ring: KeyRing, algorithm: KeyAlgorithm): PublishedKey | undefined {
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
      const keptSecret = 'privateJwk' in key || key.sharedSecret !== undefined;
      if (keptSecret !== keyAlgorithmRow(key.algorithm).symmetric) {
        throw corrupt('a key that stopped signing kept its private part, or lost its secret');
      }
      continue;
    }
    const [secret = ''] = keyAlgorithmRow(key.algorithm).privateMembers;
    if (key.privateJwk === null && isEncryption(key.algorithm)) {
      throw corrupt('a key that encrypts is not in it');
    }
    if (key.privateJwk !== null && key.privateJwk[secret] === undefined) {
      throw corrupt('a key that signs has no private part');
    }
    const role = `${key.algorithm} ${key.phase}`;
    if (roles.has(role)) throw corrupt(`two keys are ${key.phase} for one algorithm`);
    roles.add(role);
  }
  for (const { kid } of ring.compromised) {
    if (kids.has(kid)) throw corrupt('a compromised key is back, or named twice');
    kids.add(kid);
  }
  if (!ring.keys.some(isSigner)) throw corrupt('no key signs');
  return ring;
}

export function corrupt(reason: string): KeyError {
  return new KeyError('ERR_KEY_RING_CORRUPT', `The key ring cannot be used: ${reason}.`);
}
