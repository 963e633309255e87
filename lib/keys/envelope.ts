import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

import type { EncryptionKey } from './encryption-key.js';

/**
 * Encrypts and decrypts one content (RFC 7516 §5): under a fresh key of its own, which is wrapped
 * under a key of the ring. With `node:crypto`, since a token is decrypted on the way to a handler:
 * `jose` takes eight times as long for the same bytes (test/keys/envelope.spec.ts holds the two
 * together).
 */

/** The four parts of a JWE beside its header, decoded. */
export interface Envelope {
  readonly wrappedKey: Buffer;
  readonly iv: Buffer;
  readonly ciphertext: Buffer;
  readonly tag: Buffer;
}

/** @param header the header part as it stands in the token: authenticated, and not encrypted */
export function sealEnvelope(key: EncryptionKey, header: string, content: Uint8Array): Envelope {
  const { contentCipher, contentKeyLength, ivLength, tagLength } = key.row;
  // A key for one content and one IV: none can ever come twice, which GCM would not survive.
  const contentKey = randomBytes(contentKeyLength);
  const iv = randomBytes(ivLength);
  const cipher = createCipheriv(contentCipher, contentKey, iv, { authTagLength: tagLength });
  cipher.setAAD(Buffer.from(header, 'latin1'));
  const ciphertext = Buffer.concat([cipher.update(content), cipher.final()]);
  return { wrappedKey: wrap(key, contentKey), iv, ciphertext, tag: cipher.getAuthTag() };
}

/**
 * The content. Throws whatever OpenSSL says if anything of the envelope, or the header, is not as it
 * was sealed: which of them it was is nobody's business, so the caller drops it (RFC 7516 §11.5).
 */
export function openEnvelope(key: EncryptionKey, header: string, envelope: Envelope): Buffer {
  const { contentCipher, ivLength, tagLength, wrappedKeyLength } = key.row;
  const { wrappedKey, iv, ciphertext, tag } = envelope;
  // CVE-2019-18848: a shorter tag is one to be guessed.
  if (
    iv.length !== ivLength ||
    tag.length !== tagLength ||
    wrappedKey.length !== wrappedKeyLength
  ) {
    throw new RangeError('a part of the envelope has a wrong length');
  }
  const contentKey = unwrap(key, wrappedKey);
  const decipher = createDecipheriv(contentCipher, contentKey, iv, { authTagLength: tagLength });
  decipher.setAAD(Buffer.from(header, 'latin1'));
  decipher.setAuthTag(tag);
  return Buffer.concat([decipher.update(ciphertext), decipher.final()]);
}

/** RFC 3394 §2.2.1. */
function wrap({ row, secret }: EncryptionKey, contentKey: Buffer): Buffer {
  const cipher = createCipheriv(row.wrapCipher, secret, Buffer.from(row.wrapIv, 'hex'));
  return Buffer.concat([cipher.update(contentKey), cipher.final()]);
}

/**
 * RFC 3394 §2.2.2. What was not wrapped under this key gives a key that opens nothing, so that it
 * takes the same way, and the same time, as a content that was changed (RFC 7516 §11.5).
 */
function unwrap({ row, secret }: EncryptionKey, wrappedKey: Buffer): Buffer {
  try {
    const decipher = createDecipheriv(row.wrapCipher, secret, Buffer.from(row.wrapIv, 'hex'));
    return Buffer.concat([decipher.update(wrappedKey), decipher.final()]);
  } catch {
    return randomBytes(row.contentKeyLength);
  }
}
