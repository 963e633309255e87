import type { Clock } from '../kernel/clock.js';
import { withDeadline } from '../kernel/deadline.js';
import { KeyError } from '../kernel/errors.js';
import { isEncryption, type SigningAlgorithm } from './algorithms.js';
import { type EncryptionKey, importEncryptionKey } from './encryption-key.js';
import { importSigner } from './external-key.js';
import { Jwks } from './jwks.js';
import {
  importSigningKey,
  importVerificationKey,
  publicHalf,
  type SigningKey,
  type VerificationKey,
} from './key-material.js';
import {
  type CompromisedKey,
  corrupt,
  factsOf,
  findSigning,
  isSigner,
  type KeyFacts,
  type KeyRing,
  type RingKey,
} from './key-ring.js';
import { nextChangeAt, type RingPolicy } from './ring-transitions.js';
import type { KeyVault } from './signer.js';

/**
 * A key ring with its key objects built, ready to sign, verify and publish with. Of private parts it
 * holds key objects alone, whose bytes no heap snapshot shows.
 */
export interface RingSnapshot {
  readonly keys: readonly KeyFacts[];
  readonly compromised: readonly CompromisedKey[];
  /** What signs, by algorithm; under the first of the policy, what signs in its stead until it does. */
  readonly signing: ReadonlyMap<SigningAlgorithm, SigningKey>;
  /** Public halves only, so that no verified token keeps a private key alive. */
  readonly usable: ReadonlyMap<string, UsableKey<VerificationKey>>;
  /** What encrypts; `null` if this instance is not to, or no key is that far yet. */
  readonly encrypting: EncryptionKey | null;
  /** What decrypts, by `kid`: a published key too, since another instance may encrypt with it already. */
  readonly decrypting: ReadonlyMap<string, UsableKey<EncryptionKey>>;
  readonly jwks: Jwks;
  /** When a key is next due for another phase; `Infinity` for a ring that stays as it is. */
  readonly changesAt: number;
  /** Whether everything that is to sign can: a key vault that is away leaves its keys out. */
  readonly isComplete: boolean;
}

interface UsableKey<Key> {
  readonly key: Key;
  /** The instant from which it verifies, or decrypts, no more. */
  readonly until: number;
}

/** The key objects of one key that signs or signed; the signing one is let go when its phase ends. */
interface Material {
  readonly verification: VerificationKey;
  readonly signing: SigningKey | null;
}

/** Milliseconds a vault has to find a key: while it looks, nothing new is heard of the ring. */
const FIND_WITHIN = 2_000;

/** Builds snapshots, and each key object once: building one costs more than a signature. */
export class RingSnapshots {
  readonly #material = new Map<string, Material>();
  readonly #encryption = new Map<string, EncryptionKey>();

  constructor(
    private readonly policy: RingPolicy,
    private readonly vault: KeyVault | null,
    private readonly jwksMaxAge: number,
    private readonly clock: Clock,
  ) {}

  /** @throws KeyError if a key of the ring cannot be used, or none signs */
  async of(ring: KeyRing): Promise<RingSnapshot> {
    const usable = new Map<string, UsableKey<VerificationKey>>();
    const decrypting = new Map<string, UsableKey<EncryptionKey>>();
    for (const entry of ring.keys) {
      const until = entry.phase === 'verifying' ? entry.retiresAt : Infinity;
      if (isEncryption(entry.algorithm)) {
        decrypting.set(entry.kid, { key: this.#encryptionKeyOf(entry), until });
      } else {
        const { verification } = await this.#materialOf(entry);
        usable.set(entry.kid, { key: verification, until });
      }
    }
    for (const kid of this.#material.keys()) if (!usable.has(kid)) this.#material.delete(kid);
    for (const kid of this.#encryption.keys()) {
      if (!decrypting.has(kid)) this.#encryption.delete(kid);
    }
    const encrypting = ring.keys.find(
      ({ phase, algorithm }) =>
        phase === 'signing' &&
        isEncryption(algorithm) &&
        this.policy.algorithms.includes(algorithm),
    );
    return this.#publish(
      {
        keys: ring.keys.map(factsOf),
        compromised: ring.compromised,
        isComplete: ring.keys.every(
          ({ kid, phase }) => phase === 'verifying' || this.#material.get(kid)?.signing !== null,
        ),
        encrypting: this.#encryption.get(encrypting?.kid ?? '') ?? null,
        decrypting,
      },
      this.#signingOf(ring),
      usable,
      nextChangeAt(ring, this.policy),
    );
  }

  /** The ring of an operator who brought the keys: the first of each kind is used, nothing changes. */
  ofStaticKeys(
    signing: SigningKey,
    previous: readonly VerificationKey[],
    encryption: readonly EncryptionKey[],
  ): RingSnapshot {
    const now = this.clock.now();
    const former = { phase: 'verifying', verifyingSince: now, retiresAt: Infinity } as const;
    const describe = ({ kid, row, publicJwk }: VerificationKey | EncryptionKey) => ({
      kid,
      algorithm: row.name,
      publicJwk,
      publishedAt: now,
      signingSince: now,
    });
    const keys: readonly KeyFacts[] = [
      { phase: 'signing', ...describe(signing) },
      ...previous.map((key) => ({ ...former, ...describe(key) })),
      ...encryption.map((key, index) =>
        index === 0
          ? ({ phase: 'signing', ...describe(key) } as const)
          : { ...former, ...describe(key) },
      ),
    ];
    const usable = new Map(
      [publicHalf(signing), ...previous].map((key) => [key.kid, { key, until: Infinity }]),
    );
    const signers = new Map([[signing.row.name, signing]]);
    const facts = {
      keys,
      compromised: [],
      isComplete: true,
      encrypting: encryption[0] ?? null,
      decrypting: new Map(encryption.map((key) => [key.kid, { key, until: Infinity }])),
    };
    return this.#publish(facts, signers, usable, Infinity);
  }

  #signingOf(ring: KeyRing): ReadonlyMap<SigningAlgorithm, SigningKey> {
    const signing = new Map<SigningAlgorithm, SigningKey>();
    const [primary] = this.policy.algorithms;
    for (const algorithm of this.policy.algorithms) {
      if (isEncryption(algorithm)) continue;
      // Until a key of the first algorithm has been public long enough, another one signs.
      const current =
        findSigning(ring, algorithm) ??
        (algorithm === primary ? ring.keys.find(isSigner) : undefined);
      const material = this.#material.get(current?.kid ?? '');
      if (material === undefined && algorithm === primary) throw noSigningKey();
      // What is in a vault that is away verifies and does not sign.
      if (material !== undefined && material.signing !== null) {
        signing.set(algorithm, material.signing);
      }
    }
    return signing;
  }

  #publish(
    facts: Omit<RingSnapshot, 'signing' | 'usable' | 'jwks' | 'changesAt'>,
    signing: ReadonlyMap<SigningAlgorithm, SigningKey>,
    usable: ReadonlyMap<string, UsableKey<VerificationKey>>,
    changesAt: number,
  ): RingSnapshot {
    const publicJwks = [...usable.values()]
      .filter(({ key }) => !key.row.symmetric)
      .map(({ key }) => key.publicJwk);
    const jwks = new Jwks(publicJwks, this.jwksMaxAge, changesAt, this.clock);
    return { ...facts, signing, usable, jwks, changesAt };
  }

  #encryptionKeyOf(entry: RingKey): EncryptionKey {
    const known = this.#encryption.get(entry.kid);
    if (known !== undefined) return known;
    const jwk = entry.phase === 'verifying' ? entry.sharedSecret : entry.privateJwk;
    if (jwk === undefined || jwk === null) throw corrupt('a key that encrypts is not in it');
    const key = importEncryptionKey(jwk);
    this.#encryption.set(entry.kid, key);
    return key;
  }

  async #materialOf(entry: RingKey): Promise<Material> {
    const known = this.#material.get(entry.kid);
    const signs = entry.phase !== 'verifying';
    if (known !== undefined && (known.signing !== null) === signs) return known;
    const signing = entry.phase === 'verifying' ? null : await this.#importSigning(entry);
    const verification = known?.verification ?? (await verificationOf(entry, signing));
    if (signing !== null && !signing.verifyWith.key.equals(verification.verifyWith.key)) {
      throw corrupt('the public and private parts of a key differ');
    }
    const material = { verification, signing };
    this.#material.set(entry.kid, material);
    return material;
  }

  async #importSigning({
    kid,
    algorithm,
    privateJwk,
  }: Exclude<RingKey, { readonly phase: 'verifying' }>): Promise<SigningKey | null> {
    if (privateJwk !== null) return importSigningKey(privateJwk);
    if (this.vault === null) throw corrupt('a key lies in a vault, and keys.vault is not set');
    const late = (): KeyError => vaultFailed('did not answer in time');
    const signer = await withDeadline(this.vault.find(kid), FIND_WITHIN, late).catch(() => null);
    if (signer === null) return null;
    if (signer.kid !== kid || signer.alg !== algorithm) throw vaultFailed('gave another key');
    return importSigner(signer).catch((error: unknown) => {
      if (error instanceof KeyError && error.code === 'ERR_KEY_SIGNER_FAILED') return null;
      throw error;
    });
  }
}

async function verificationOf(
  entry: RingKey,
  signing: SigningKey | null,
): Promise<VerificationKey> {
  if (entry.phase === 'verifying' && entry.sharedSecret !== undefined) {
    return publicHalf(await importSigningKey(entry.sharedSecret));
  }
  if (signing !== null && signing.row.symmetric) return publicHalf(signing);
  return importVerificationKey({ ...entry.publicJwk });
}

function vaultFailed(how: string): KeyError {
  return new KeyError('ERR_KEY_SIGNER_FAILED', `The key vault ${how}.`);
}

export function noSigningKey(): KeyError {
  return new KeyError('ERR_KEY_RING_UNAVAILABLE', 'No key is ready to sign.');
}
