import { createCipheriv, createDecipheriv, createHmac, randomBytes } from 'node:crypto';

/**
 * Seals what the store keeps under a secret that only the client has (AES-256-GCM under a key by HKDF,
 * RFC 5869): whoever reads the store cannot open it. Nor can who writes it forge it, if there is a salt.
 */
export interface Sealing {
  /** What the key is made of: 32 random bytes, no fewer. */
  readonly secret: Buffer;
  /** A secret of this service: without it nobody can seal. @defaultValue none */
  readonly salt?: Buffer;
  /** What it is for. Secrets are used for one thing each, and keys say for what. */
  readonly purpose: 'grant' | 'code' | 'successor';
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
 * HKDF (RFC 5869) of one block. Without a salt there is nothing to extract: the secret is uniformly
 * random already (§3.3).
 */
function keyFor({ secret, salt, purpose, context }: Sealing): Buffer {
  const prk = salt === undefined ? secret : createHmac('sha256', salt).update(secret).digest();
  return createHmac('sha256', prk).update(`${purpose}\0${context}\x01`).digest();
}
