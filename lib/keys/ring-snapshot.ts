import { createPrivateKey } from 'node:crypto';

import type { Clock } from '../kernel/clock.js';
import { KeyError } from '../kernel/errors.js';
import type { SigningAlgorithm } from './algorithms.js';
import { Jwks } from './jwks.js';
import {
  exportPrivateJwk,
  importVerificationKey,
  type SigningKey,
  type VerificationKey,
} from './key-material.js';
import {
  findSigning,
  type KeyRing,
  nextChangeAt,
  type RingKey,
  type RingPolicy,
} from './key-ring.js';

/** A key ring with its key objects built, ready to sign, verify and publish with. */
export interface RingSnapshot {
  readonly ring: KeyRing;
  readonly signing: SigningKey;
  readonly usable: ReadonlyMap<string, UsableKey>;
  readonly jwks: Jwks;
  /** When a key is next due for another phase; `Infinity` for a ring that stays as it is. */
  readonly changesAt: number;
}

interface UsableKey {
  readonly key: VerificationKey;
  /** The instant from which it verifies no more. */
  readonly until: number;
}

type SnapshotFacts = Pick<RingSnapshot, 'ring' | 'signing' | 'usable' | 'changesAt'>;

/** Builds snapshots, and each key object once: building one costs more than a signature. */
export class RingSnapshots {
  readonly #material = new Map<string, SigningKey | VerificationKey>();

  constructor(
    private readonly policy: RingPolicy,
    private readonly algorithm: SigningAlgorithm,
    private readonly jwksMaxAge: number,
    private readonly clock: Clock,
  ) {}

  /** @throws KeyError if a key cannot be read, or none of this algorithm signs */
  async of(ring: KeyRing): Promise<RingSnapshot> {
    const usable = new Map<string, UsableKey>();
    for (const entry of ring.keys) {
      const key = await this.#materialOf(entry);
      usable.set(entry.kid, {
        key,
        until: entry.phase === 'verifying' ? entry.retiresAt : Infinity,
      });
    }
    for (const kid of this.#material.keys()) if (!usable.has(kid)) this.#material.delete(kid);
    const current = findSigning(ring, this.algorithm);
    const signing = current === undefined ? undefined : usable.get(current.kid)?.key;
    if (signing === undefined || !canSign(signing)) throw noSigningKey();
    return this.#publish({ ring, signing, usable, changesAt: nextChangeAt(ring, this.policy) });
  }

  /** The ring of an operator who brought one key: it signs, and nothing ever changes. */
  ofStaticKey(key: SigningKey): RingSnapshot {
    const publishedAt = this.clock.now();
    const entry: RingKey = {
      phase: 'signing',
      kid: key.kid,
      algorithm: key.row.name,
      publicJwk: key.publicJwk,
      privateJwk: exportPrivateJwk(key),
      publishedAt,
      signingSince: publishedAt,
    };
    const usable = new Map([[key.kid, { key, until: Infinity }]]);
    return this.#publish({ ring: { keys: [entry] }, signing: key, usable, changesAt: Infinity });
  }

  #publish(facts: SnapshotFacts): RingSnapshot {
    const publicJwks = facts.ring.keys.map(({ publicJwk }) => publicJwk);
    const jwks = new Jwks(publicJwks, this.jwksMaxAge, facts.changesAt, this.clock);
    return { ...facts, jwks };
  }

  async #materialOf(entry: RingKey): Promise<SigningKey | VerificationKey> {
    const known = this.#material.get(entry.kid);
    const signs = entry.phase !== 'verifying';
    if (known !== undefined && canSign(known) === signs) return known;
    const key = await importVerificationKey(entry.publicJwk);
    const material = signs
      ? { ...key, privateKey: createPrivateKey({ key: entry.privateJwk, format: 'jwk' }) }
      : key;
    this.#material.set(entry.kid, material);
    return material;
  }
}

export function noSigningKey(): KeyError {
  return new KeyError('ERR_KEY_RING_UNAVAILABLE', 'No key is ready to sign.');
}

function canSign(key: SigningKey | VerificationKey): key is SigningKey {
  return 'privateKey' in key;
}
