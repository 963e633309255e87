import type { JsonWebKey } from 'node:crypto';

import type { SigningAlgorithm } from './algorithms.js';

/**
 * A private key that never enters this process: in a KMS, an HSM, a smart card. Bring one as
 * `keys.signingKey`; its public half is checked and published like any other.
 */
export interface Signer {
  /** 1 to 128 characters of `A-Z a-z 0-9 . _ : -`. */
  readonly kid: string;
  readonly alg: SigningAlgorithm;
  readonly publicJwk: JsonWebKey;
  /**
   * The signature over `input` in the form a JWS carries it (RFC 7518 §3: for ECDSA, R and S side by
   * side, not DER). Rejects when the key cannot be reached; nothing is signed then.
   */
  sign(input: Uint8Array): Promise<Uint8Array>;
}

/**
 * Port: a place that makes keys and signs with them but never gives them away. With `keys.vault`, the
 * ring rotates keys that live there; what is stored of them is their `kid` and their public half.
 */
export abstract class KeyVault {
  /** How messages call it, such as `pkcs11Vault()`. */
  abstract readonly name: string;
  /** Makes a key; it is not used before it was stored in the ring. */
  abstract generate(algorithm: SigningAlgorithm): Promise<Signer>;
  /** The key with this `kid`, also after a restart; `null` if the vault has none. */
  abstract find(kid: string): Promise<Signer | null>;
  /** Destroys a key; nothing happens if there is none. */
  abstract destroy(kid: string): Promise<void>;
  /** Lets go of sessions and connections. */
  abstract close(): Promise<void>;
}
