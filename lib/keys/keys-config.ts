import type { SecurityEvents } from '../events/security-events.js';
import type { Clock } from '../kernel/clock.js';
import type { OnStale } from '../kernel/outage.js';
import type { SigningAlgorithm } from './algorithms.js';
import type { EncryptionKey } from './encryption-key.js';
import type { SigningKey, VerificationKey } from './key-material.js';
import type { KeyProtector } from './key-protector.js';
import type { KeyStore } from './key-store.js';
import type { KeyVault } from './signer.js';
import type { RingOwner } from './stored-ring.js';

/** What the keys of an issuer are told, and what they stand on. */

/** The part of the configuration that keys need. Lengths in milliseconds. */
export interface KeysConfig {
  /** What signs unless told otherwise, and what else signs beside it. */
  readonly algorithms: readonly [SigningAlgorithm, ...SigningAlgorithm[]];
  /** Keys of the operator's; `null` for a ring that generates and rotates its own. */
  readonly staticKeys: {
    readonly signing: SigningKey;
    readonly previous: readonly VerificationKey[];
  } | null;
  /** Whether there are keys to encrypt tokens with; none without it. */
  readonly encryption?: EncryptionKeysConfig | null;
  readonly owner: RingOwner;
  readonly protector: KeyProtector;
  readonly vault: KeyVault | null;
  readonly rotateEvery: number;
  readonly publishAhead: number;
  readonly retainFor: number;
  readonly jwksMaxAge: number;
  /** How long what is known stands without word from the store; `Infinity` for a store in-process. */
  readonly maxLag: number;
  readonly onStale: OnStale;
}

/** The keys that tokens are encrypted with. */
export interface EncryptionKeysConfig {
  /** The operator's, beside static keys: the first encrypts, all decrypt. */
  readonly staticKeys: readonly EncryptionKey[];
  /** In a ring that signs already: how long its first one is published before it encrypts. */
  readonly encryptsAfter: number;
}

/** What a ring needs of its surroundings. */
export interface KeysSurroundings {
  readonly store: KeyStore | null;
  readonly clock: Clock;
  readonly events: SecurityEvents;
  /** How many sessions there are; `null` if nothing counts them. */
  readonly countSessions: () => Promise<number | null>;
}
