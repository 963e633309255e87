import { createCipheriv, createDecipheriv, createHmac, randomBytes } from 'node:crypto';

/**
 * Seals what the store keeps of a session under a secret that only the client has (AES-256-GCM under
 * a key by HKDF, RFC 5869): whoever reads the store cannot open it, whoever writes it cannot forge it.
 */
export interface Sealing {
  /** What the key is made of: 32 random bytes, no fewer. */
  readonly secret: Buffer;
  /** What it is for. Secrets are used for one thing each, and keys say for what. */
  readonly purpose: 'grant' | 'successor';
  /** What it belongs to: it opens nowhere else. */
  readonly context: string;
}

const CIPHER = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

export function seal(plain: Buffer, sealing: Sealing): string {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, keyFor(sealing), nonce);
  const sealed = [nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()];
  return Buffer.concat(sealed).toString('base64url');
}

/** `undefined` for what was not sealed like this. */
export function unseal(text: string, sealing: Sealing): Buffer | undefined {
  const sealed = Buffer.from(text, 'base64url');
  if (sealed.length < NONCE_BYTES + TAG_BYTES) return undefined;
  const decipher = createDecipheriv(CIPHER, keyFor(sealing), sealed.subarray(0, NONCE_BYTES), {
    authTagLength: TAG_BYTES,
  });
  decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
  try {
    const plain = decipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES));
    return Buffer.concat([plain, decipher.final()]);
  } catch {
    // What the tag does not fit was tampered with, or belongs to another session.
    return undefined;
  }
}

/**
 * HKDF-Expand of one block (RFC 5869 §2.3). Extraction is for secrets that are not uniformly random
 * (§3.3), and would cost as much again.
 */
function keyFor({ secret, purpose, context }: Sealing): Buffer {
  return createHmac('sha256', secret).update(`${purpose}\0${context}\x01`).digest();
}
