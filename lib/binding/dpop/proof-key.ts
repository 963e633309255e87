import { LRUCache } from 'lru-cache';

import { KeyError, ProofError } from '../../kernel/errors.js';
import type { SigningAlgorithm } from '../../keys/algorithms.js';
import { importVerificationKey, type VerificationKey } from '../../keys/key-material.js';
import { type ProofHeader, readProofHeader } from './proof-text.js';

/** What the signature of a proof is checked with. */
export interface ProofKey extends Pick<VerificationKey, 'row' | 'verifyWith' | 'signatureLength'> {
  /** The RFC 7638 thumbprint, by which `cnf` knows the key. */
  readonly jkt: string;
}

/** What a public JWK may say beside the key itself: WebCrypto writes all of it. */
const DESCRIPTIVE_MEMBERS: readonly string[] = ['alg', 'use', 'key_ops', 'ext', 'kid'];

/**
 * RSA keys are whatever an attacker likes, and a long modulus or exponent makes one verification last
 * for milliseconds: every library makes keys with the exponent 65537. Lengths of `n` in characters.
 */
const RSA = { exponent: 'AQAB', shortest: 342, longest: 683 } as const;

/** Characters of a header that count as one entry. */
const TYPICAL_LENGTH = 256;

/**
 * The keys of proofs, read from their headers. A client's proofs all begin with the same header, so
 * that its key is imported once; only keys whose signature was right are remembered. Bounded, least
 * recently used first.
 */
export class ProofKeys {
  readonly #algorithms: readonly SigningAlgorithm[];
  readonly #known: LRUCache<string, ProofKey>;

  constructor(algorithms: readonly SigningAlgorithm[], maxEntries: number) {
    this.#algorithms = algorithms;
    this.#known = new LRUCache({
      max: maxEntries,
      maxSize: maxEntries * TYPICAL_LENGTH,
      sizeCalculation: (_key, header) => header.length,
    });
  }

  /** How many keys are remembered. */
  get size(): number {
    return this.#known.size;
  }

  /**
   * The key of a header that was seen before, or else the header, which is right so far.
   * @throws ProofError as `readProofHeader`
   */
  find(header: string): ProofKey | ProofHeader {
    return this.#known.get(header) ?? readProofHeader(header, this.#algorithms);
  }

  /** That a proof with this header had a right signature. */
  remember(header: string, key: ProofKey): void {
    this.#known.set(header, key);
  }
}

/** Whether a header's key has been imported already. */
export function isProofKey(found: ProofKey | ProofHeader): found is ProofKey {
  return 'jkt' in found;
}

/**
 * Imports the key of a header: public, of the type and curve of its algorithm, strong, in its one
 * spelling, and saying nothing that is not understood.
 * @throws ProofError `ERR_PROOF_KEY`
 */
export async function importProofKey({ row, jwk }: ProofHeader): Promise<ProofKey> {
  const known = [...row.publicMembers, ...DESCRIPTIVE_MEMBERS];
  // Private members too: a client that shows its private key has none (RFC 9449 §4.3, check 7).
  if (Object.keys(jwk).some((name) => !known.includes(name))) {
    throw refused('jwk has a member that is none of a public key of its algorithm');
  }
  if (jwk['alg'] !== undefined && jwk['alg'] !== row.name) throw refused('jwk is for another alg');
  if (row.kty === 'RSA' && !isOrdinaryRsa(jwk)) throw refused('jwk is no ordinary RSA key');
  const { kid: _, ...nameless } = jwk;
  const key = await importKey({ ...nameless, alg: row.name });
  // Of a key in another spelling, others would take another thumbprint.
  if (row.publicMembers.some((name) => key.publicJwk[name] !== nameless[name])) {
    throw refused('jwk is not in its canonical form');
  }
  const { verifyWith, signatureLength } = key;
  return { jkt: key.kid, row, verifyWith, signatureLength };
}

async function importKey(
  jwk: Parameters<typeof importVerificationKey>[0],
): Promise<VerificationKey> {
  try {
    return await importVerificationKey(jwk);
  } catch (error) {
    if (!(error instanceof KeyError)) throw error;
    throw refused('jwk cannot be used', error);
  }
}

function isOrdinaryRsa({ n, e }: ProofHeader['jwk']): boolean {
  if (typeof n !== 'string' || e !== RSA.exponent) return false;
  return n.length >= RSA.shortest && n.length <= RSA.longest;
}

function refused(detail: string, cause?: unknown): ProofError {
  return new ProofError('ERR_PROOF_KEY', detail, { cause });
}
