import { createSecretKey, type KeyObject, randomBytes } from 'node:crypto';

import { calculateJwkThumbprint } from 'jose/jwk/thumbprint';

import { isCanonicalBase64url } from '../kernel/base64url.js';
import { KeyError } from '../kernel/errors.js';
import { randomId } from '../kernel/ids.js';
import {
  ENCRYPTION,
  type EncryptionAlgorithm,
  type EncryptionRow,
  findKeyAlgorithm,
} from './algorithms.js';
import { isKid, type PrivateJwk } from './key-material.js';

/**
 * Keys that access tokens are encrypted under: made here, or read from a sealed ring and from the
 * operator. They never sign, and nothing of them but the name is ever public.
 */

/** All that may be said of an encryption key. */
export interface EncryptionJwk {
  readonly kty: 'oct';
  readonly kid: string;
  readonly alg: EncryptionAlgorithm;
  readonly use: 'enc';
}

/** What content keys are wrapped under and unwrapped with. */
export interface EncryptionKey {
  readonly kid: string;
  readonly row: EncryptionRow;
  readonly publicJwk: EncryptionJwk;
  readonly secret: KeyObject;
}

export function generateEncryptionKey(): EncryptionKey {
  return toEncryptionKey(randomBytes(ENCRYPTION.keyLength), randomId());
}

/**
 * The key made of an operator's 32 secret bytes, under the same name on every instance: a digest of
 * 256 random bits tells nothing of them.
 * @throws KeyError `ERR_KEY_INVALID`
 */
export async function encryptionKeyOf(bytes: Uint8Array): Promise<EncryptionKey> {
  const k = Buffer.from(bytes).toString('base64url');
  return toEncryptionKey(bytes, await calculateJwkThumbprint({ kty: ENCRYPTION.kty, k }));
}

/**
 * Reads a key that was generated here.
 * @throws KeyError `ERR_KEY_INVALID`, naming the reason and never the key
 */
export function importEncryptionKey(jwk: PrivateJwk): EncryptionKey {
  const { alg, kty, use, kid, k } = jwk;
  if (findKeyAlgorithm(alg) !== ENCRYPTION || kty !== ENCRYPTION.kty || use !== ENCRYPTION.use) {
    throw invalid('it is not a key to encrypt with');
  }
  if (!isKid(kid)) throw invalid('its kid is missing or malformed');
  if (typeof k !== 'string' || !/^[A-Za-z0-9_-]+$/.test(k) || !isCanonicalBase64url(k)) {
    throw invalid('its k is not base64url');
  }
  return toEncryptionKey(Buffer.from(k, 'base64url'), kid);
}

/** The JWK with its secret, to be stored sealed. */
export function exportEncryptionKey({ secret, kid, row }: EncryptionKey): PrivateJwk {
  const k = secret.export().toString('base64url');
  return { kty: row.kty, k, alg: row.name, use: row.use, kid };
}

function toEncryptionKey(bytes: Uint8Array, kid: string): EncryptionKey {
  const { keyLength, kty, name: alg, use } = ENCRYPTION;
  if (bytes.length !== keyLength) throw invalid(`it is not ${keyLength} bytes long`);
  return {
    kid,
    row: ENCRYPTION,
    publicJwk: { kty, kid, alg, use },
    secret: createSecretKey(bytes),
  };
}

function invalid(reason: string): KeyError {
  return new KeyError('ERR_KEY_INVALID', `The key cannot be used: ${reason}.`);
}
