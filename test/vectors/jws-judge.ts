import type { JsonWebKey } from 'node:crypto';

import { KeyError, TokenError } from '../../lib/kernel/errors.js';
import { importVerificationKey, isKid } from '../../lib/keys/key-material.js';
import { SignatureVerifier } from '../../lib/keys/signature.js';
import { readCompact, readHeader } from '../../lib/tokens/compact.js';

/** A JWK as vectors write it. */
export type VectorJwk = JsonWebKey & {
  readonly alg?: string;
  readonly kid?: string;
};

export type Verdict = 'valid' | 'invalid';

/** The errors of hostile input and of bad keys; any other is a defect and fails the test. */
export function verdictOf(error: unknown): Verdict {
  if (error instanceof TokenError || error instanceof KeyError) return 'invalid';
  throw error;
}

/**
 * Judges a JWS as the verifier does up to the payload (strict reader, header, key import, one key
 * one algorithm, signature), without the claims that a JWT must have and a vector has not.
 *
 * Two concessions to the vectors, neither of which reaches the product: a `kid` outside our
 * characters (`bilbo.baggins@hobbiton.example`) is left out of the key and compared as it stands,
 * and a header without `kid` is given to the one key at hand.
 */
export async function judgeJws(jws: unknown, jwk: VectorJwk): Promise<Verdict> {
  try {
    const { kid, ...unnamed } = jwk;
    const key = await importVerificationKey(isKid(kid) ? jwk : unnamed);
    if (typeof jws !== 'string') return 'invalid';
    const compact = readCompact(jws);
    const header = readHeader(compact);
    if (header.alg !== key.row.name) return 'invalid';
    if (header.kid !== undefined && header.kid !== kid) return 'invalid';
    const valid = await new SignatureVerifier().verify({
      key,
      input: Buffer.from(compact.signingInput, 'latin1'),
      signature: Buffer.from(compact.signature, 'base64url'),
    });
    return valid ? 'valid' : 'invalid';
  } catch (error) {
    return verdictOf(error);
  }
}

/** Whether the text and the header pass before any key is asked. */
export function judgeText(jws: string): Verdict {
  try {
    readHeader(readCompact(jws));
    return 'valid';
  } catch (error) {
    return verdictOf(error);
  }
}
