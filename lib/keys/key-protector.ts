import { createSecretKey, type KeyObject } from 'node:crypto';

import { calculateJwkThumbprint } from 'jose/jwk/thumbprint';
import { CompactEncrypt } from 'jose/jwe/compact/encrypt';
import { compactDecrypt } from 'jose/jwe/compact/decrypt';

import { KeyError } from '../kernel/errors.js';
import { parseStrictJson } from '../kernel/strict-json.js';

/** RFC 7518 §4.7 and §5.3: a fresh content key for each ring, wrapped and authenticated. */
const WRAP = 'A256GCMKW';
const ENCRYPTION = 'A256GCM';
/** So that no other JWE under the same key passes for a ring (RFC 8725 §3.11). */
const TYPE = 'key-ring+jwe';

/** A key-encryption key with the name it has in the header of what it sealed. */
export interface KeyEncryptionKey {
  readonly kid: string;
  readonly key: KeyObject;
}

/** The key made of 32 secret bytes. */
export async function keyEncryptionKey(bytes: Uint8Array): Promise<KeyEncryptionKey> {
  const key = createSecretKey(bytes);
  // A digest of 256 random bits tells nothing of them.
  const kid = await calculateJwkThumbprint({
    kty: 'oct',
    k: Buffer.from(bytes).toString('base64url'),
  });
  return { kid, key };
}

/**
 * Seals the key ring for a store outside this process, as a JWE: whoever can read or write the store
 * can neither learn a private key nor add a public one. The first key seals, all open; `null` in the
 * list stands for a ring in clear.
 */
export class KeyProtector {
  constructor(private readonly keys: readonly (KeyEncryptionKey | null)[]) {}

  /** Whether what it seals can be read by anyone. */
  get isClear(): boolean {
    return this.#first === null;
  }

  async seal(ring: string): Promise<string> {
    const sealing = this.#first;
    if (sealing === null) return ring;
    return new CompactEncrypt(Buffer.from(ring))
      .setProtectedHeader({ alg: WRAP, enc: ENCRYPTION, typ: TYPE, kid: sealing.kid })
      .encrypt(sealing.key);
  }

  /**
   * @throws KeyError `ERR_KEY_RING_UNREADABLE` if none of the keys opens it, or it is in clear and
   * that was not allowed: a ring anyone could have written is not believed
   */
  async open(stored: string): Promise<string> {
    if (stored.startsWith('{')) {
      if (this.keys.includes(null)) return stored;
      throw unreadable('it is not sealed');
    }
    const opening = this.keys.find((key) => key !== null && key.kid === sealedBy(stored));
    if (opening === undefined || opening === null) {
      throw unreadable(
        'it is sealed under a key-encryption key that is not in keys.encryptionKeys',
      );
    }
    try {
      const { plaintext, protectedHeader } = await compactDecrypt(stored, opening.key, {
        keyManagementAlgorithms: [WRAP],
        contentEncryptionAlgorithms: [ENCRYPTION],
      });
      if (protectedHeader.typ !== TYPE) throw unreadable('it is something else');
      return Buffer.from(plaintext).toString();
    } catch (error) {
      throw error instanceof KeyError ? error : unreadable('it was changed, or damaged', error);
    }
  }

  /** Whether sealing it again would use the same key. */
  isNewest(stored: string): boolean {
    return this.#first === null ? stored.startsWith('{') : sealedBy(stored) === this.#first.kid;
  }

  get #first(): KeyEncryptionKey | null {
    return this.keys[0] ?? null;
  }
}

/** The `kid` in the header of a sealed ring; nothing is believed of it but where to look. */
function sealedBy(stored: string): unknown {
  const header = parseStrictJson(Buffer.from(stored.slice(0, stored.indexOf('.')), 'base64url'));
  return typeof header === 'string' ? undefined : header['kid'];
}

function unreadable(reason: string, cause?: unknown): KeyError {
  return new KeyError('ERR_KEY_RING_UNREADABLE', `The key ring cannot be read: ${reason}.`, {
    cause,
  });
}
