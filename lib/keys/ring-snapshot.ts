import type { Clock } from '../kernel/clock.js';
import { KeyError } from '../kernel/errors.js';
import type { SigningAlgorithm } from './algorithms.js';
import { Jwks } from './jwks.js';
import {
  exportPrivateJwk,
  importSigningKey,
  importVerificationKey,
  publicHalf,
  type SigningKey,
  type VerificationKey,
} from './key-material.js';
import {
  corrupt,
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
  /** Public halves only, so that no verified token keeps a private key alive. */
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

/** The key objects of one ring key; the signing one is let go when its phase ends. */
interface Material {
  readonly verification: VerificationKey;
  readonly signing: SigningKey | null;
}

/** Builds snapshots, and each key object once: building one costs more than a signature. */
export class RingSnapshots {
  readonly #material = new Map<string, Material>();

  constructor(
    private readonly policy: RingPolicy,
    private readonly algorithm: SigningAlgorithm,
    private readonly jwksMaxAge: number,
    private readonly clock: Clock,
  ) {}

  /** @throws KeyError if a key of the ring cannot be used, or none signs */
  async of(ring: KeyRing): Promise<RingSnapshot> {
    const usable = new Map<string, UsableKey>();
    for (const entry of ring.keys) {
      const { verification } = await this.#materialOf(entry);
      const until = entry.phase === 'verifying' ? entry.retiresAt : Infinity;
      usable.set(entry.kid, { key: verification, until });
    }
    for (const kid of this.#material.keys()) if (!usable.has(kid)) this.#material.delete(kid);
    // Until a key of the configured algorithm has been public long enough, another one signs.
    const current =
      findSigning(ring, this.algorithm) ?? ring.keys.find(({ phase }) => phase === 'signing');
    const signing = this.#material.get(current?.kid ?? '')?.signing;
    if (signing === undefined || signing === null) throw noSigningKey();
    return this.#publish(ring, signing, usable, nextChangeAt(ring, this.policy));
  }

  /** The ring of an operator who brought one key: it signs, and nothing ever changes. */
  ofStaticKey(signing: SigningKey): RingSnapshot {
    const { kid, row, publicJwk } = signing;
    const publishedAt = this.clock.now();
    const entry: RingKey = {
      phase: 'signing',
      kid,
      algorithm: row.name,
      publicJwk,
      privateJwk: exportPrivateJwk(signing),
      publishedAt,
      signingSince: publishedAt,
    };
    const usable = new Map([[kid, { key: publicHalf(signing), until: Infinity }]]);
    return this.#publish({ keys: [entry] }, signing, usable, Infinity);
  }

  #publish(
    ring: KeyRing,
    signing: SigningKey,
    usable: ReadonlyMap<string, UsableKey>,
    changesAt: number,
  ): RingSnapshot {
    const publicJwks = [...usable.values()].map(({ key }) => key.publicJwk);
    const jwks = new Jwks(publicJwks, this.jwksMaxAge, changesAt, this.clock);
    return { ring, signing, usable, jwks, changesAt };
  }

  async #materialOf(entry: RingKey): Promise<Material> {
    const known = this.#material.get(entry.kid);
    const signs = entry.phase !== 'verifying';
    if (known !== undefined && (known.signing !== null) === signs) return known;
    const verification = known?.verification ?? (await importVerificationKey(entry.publicJwk));
    const signing = signs ? await importSigningKey(entry.privateJwk) : null;
    if (signing !== null && !signing.verifyWith.key.equals(verification.verifyWith.key)) {
      throw corrupt('the public and private parts of a key differ');
    }
    const material = { verification, signing };
    this.#material.set(entry.kid, material);
    return material;
  }
}

export function noSigningKey(): KeyError {
  return new KeyError('ERR_KEY_RING_UNAVAILABLE', 'No key is ready to sign.');
}
