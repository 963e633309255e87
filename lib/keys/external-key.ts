import { verify } from 'node:crypto';

import { withDeadline } from '../kernel/deadline.js';
import { KeyError } from '../kernel/errors.js';
import { importVerificationKey, type SigningKey, type VerificationKey } from './key-material.js';
import type { Signer } from './signer.js';

/** A KMS answers in tens of milliseconds; one that takes longer than this has failed. */
const DEADLINE_MS = 5_000;

/**
 * Turns a signer into a key of the ring, once it has shown that its two halves belong together. What
 * it answers later is held to its form, in time.
 * @throws KeyError `ERR_KEY_INVALID`, `ERR_KEY_WEAK`, `ERR_KEY_SIGNER_FAILED`
 */
export async function importSigner(signer: Signer): Promise<SigningKey> {
  const { kid, alg, publicJwk } = signer;
  const verification = await importVerificationKey({ ...publicJwk, kid, alg });
  if (verification.row.symmetric) {
    throw new KeyError('ERR_KEY_INVALID', 'The key cannot be used: a signer holds a key pair.');
  }
  const sign = (input: Uint8Array): Promise<Uint8Array> => signWith(signer, verification, input);
  const probe = Buffer.from('nest-jwt-hardening');
  const { row, verifyWith } = verification;
  if (!verify(row.digest, probe, verifyWith, await sign(probe))) {
    throw new KeyError(
      'ERR_KEY_INVALID',
      'The key cannot be used: its public half does not verify what the signer signs.',
    );
  }
  return { ...verification, privateKey: null, sign };
}

async function signWith(
  signer: Signer,
  { signatureLength }: VerificationKey,
  input: Uint8Array,
): Promise<Uint8Array> {
  try {
    const late = (): KeyError => failed('it did not answer in time');
    const signature = await withDeadline(signer.sign(input), DEADLINE_MS, late);
    if (!(signature instanceof Uint8Array) || signature.length !== signatureLength) {
      throw failed('its signature has a wrong form');
    }
    return signature;
  } catch (error) {
    // What a KMS client says can hold addresses and account names: for the cause alone.
    throw error instanceof KeyError ? error : failed('it refused', error);
  }
}

function failed(reason: string, cause?: unknown): KeyError {
  return new KeyError('ERR_KEY_SIGNER_FAILED', `The signer did not sign: ${reason}.`, { cause });
}
