import { createSecretKey, hash, hkdfSync, type KeyObject } from 'node:crypto';

/** A key for one purpose, with the name by which what it made is told. */
export interface SenderKey {
  /** Eight characters; says nothing of the key. */
  readonly id: string;
  readonly key: KeyObject;
}

/**
 * The secrets that all instances share to recognise what they gave to a sender, or saw of it: nonces,
 * fingerprints, cookies. The first makes, all check, so that one can follow another.
 */
export class SenderSecrets {
  readonly #secrets: readonly KeyObject[];

  /** @param secrets 32 bytes each */
  constructor(secrets: readonly Uint8Array[]) {
    this.#secrets = secrets.map((bytes) => createSecretKey(bytes));
  }

  /** The keys for one purpose, the newest first (HKDF, RFC 5869: none tells anything of another). */
  derive(purpose: string): readonly [SenderKey, ...SenderKey[]] {
    const [first, ...others] = this.#secrets.map((secret) => keyFor(secret, purpose));
    if (first === undefined) throw new TypeError('there is no sender secret');
    return [first, ...others];
  }
}

function keyFor(secret: KeyObject, purpose: string): SenderKey {
  const derive = (label: string): Buffer =>
    Buffer.from(hkdfSync('sha256', secret, '', `nest-jwt-hardening/sender/1\0${label}`, 32));
  return {
    id: hash('sha256', derive(`${purpose}\0name`), 'base64url').slice(0, 8),
    key: createSecretKey(derive(purpose)),
  };
}
