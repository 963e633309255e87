import { isCanonicalBase64url } from '../kernel/base64url.js';
import { KeyError, TokenError } from '../kernel/errors.js';
import type { OnStale } from '../kernel/outage.js';
import { ENCRYPTION } from '../keys/algorithms.js';
import type { EncryptionKey } from '../keys/encryption-key.js';
import { openEnvelope, sealEnvelope } from '../keys/envelope.js';
import { isKid } from '../keys/key-material.js';
import type { KeyRingService } from '../keys/key-ring.service.js';
import { MAX_TOKEN_LENGTH } from './compact.js';

/**
 * Access tokens that only this service can read: signed as ever, then encrypted as a whole
 * (RFC 7519 §11.2), in the compact serialisation of RFC 7516 §7.1.
 *
 * Who encrypts is who decrypts, so a header has one spelling for each key, and is compared instead of
 * parsed: no other algorithm, no compression, no key of the sender's, no member nobody looks at
 * (RFC 8725 §3.1, §3.6, §3.10). What cannot be decrypted is refused in one way, whatever it was
 * (RFC 7516 §11.5).
 */

/** Which access tokens of this service are accepted beside those it encrypts: none, or signed ones. */
export interface TokenEncryptionConfig {
  readonly accept: 'encrypted' | 'both';
}

/** What was inside, not judged yet, and the key that opened it. */
export interface OpenedToken {
  readonly content: string;
  readonly key: EncryptionKey;
}

const BEFORE_KID =
  `{"alg":"${ENCRYPTION.name}","enc":"${ENCRYPTION.contentEncryption}",` +
  '"typ":"at+jwe","cty":"JWT","kid":"';
const AFTER_KID = '"}';

const PARTS = new RegExp(
  [
    '^([A-Za-z0-9_-]+)',
    part(ENCRYPTION.wrappedKeyLength),
    part(ENCRYPTION.ivLength),
    '([A-Za-z0-9_-]+)',
    `${part(ENCRYPTION.tagLength)}$`,
  ].join('\\.'),
);

/** A group of exactly so many bytes in base64url. */
function part(bytes: number): string {
  return `([A-Za-z0-9_-]{${Math.ceil((bytes * 4) / 3)}})`;
}

/** Whether a text has the five parts of an encrypted token, whatever they are. */
export function isNested(token: string): boolean {
  return token.split('.', 6).length === 5;
}

export class NestedTokens {
  /** @internal */
  constructor(
    readonly accept: TokenEncryptionConfig['accept'],
    private readonly keyRing: Pick<KeyRingService, 'encryptionKey' | 'decryptionKey'>,
  ) {}

  /**
   * Encrypts a signed token. While no key is ready to, it stays as it is, if such are accepted.
   * @throws KeyError `ERR_KEY_RING_UNAVAILABLE` if they are not; `ERR_KEY_RING_STALE`
   */
  seal(signed: string): string {
    const key = this.#sealingKey();
    if (key === null) return signed;
    const header = headerOf(key);
    const { wrappedKey, iv, ciphertext, tag } = sealEnvelope(key, header, Buffer.from(signed));
    const encoded = [wrappedKey, iv, ciphertext, tag].map((bytes) => bytes.toString('base64url'));
    return [header, ...encoded].join('.');
  }

  /**
   * Decrypts a token. What is inside may still be anything.
   * @throws TokenError `ERR_TOKEN_TOO_LARGE`, `ERR_TOKEN_ENCRYPTION`
   * @throws KeyError `ERR_KEY_RING_STALE` when its key may have been withdrawn without word of it here
   */
  open(token: string, onStale?: OnStale): OpenedToken {
    if (token.length > MAX_TOKEN_LENGTH) {
      throw new TokenError('ERR_TOKEN_TOO_LARGE', 'the token is too long');
    }
    const [, header, ...parts] = PARTS.exec(token) ?? [];
    if (header === undefined || ![header, ...parts].every(isCanonicalBase64url)) throw refused();
    const kid = kidOf(header);
    const key = kid === undefined ? undefined : this.keyRing.decryptionKey(kid, onStale);
    if (key === undefined) throw refused();
    const [wrappedKey, iv, ciphertext, tag] = parts.map((text) => Buffer.from(text, 'base64url'));
    if (!wrappedKey || !iv || !ciphertext || !tag) throw refused();
    return { content: decrypt(key, header, { wrappedKey, iv, ciphertext, tag }), key };
  }

  /** @throws KeyError as `seal` */
  assertReady(): void {
    this.#sealingKey();
  }

  #sealingKey(): EncryptionKey | null {
    const key = this.keyRing.encryptionKey();
    if (key !== null || this.accept === 'both') return key;
    throw new KeyError('ERR_KEY_RING_UNAVAILABLE', 'No key is ready to encrypt.');
  }

  /** Whether this very key still decrypts. */
  stands(key: EncryptionKey, onStale: OnStale | undefined): boolean {
    return this.keyRing.decryptionKey(key.kid, onStale) === key;
  }
}

function headerOf({ kid }: EncryptionKey): string {
  return Buffer.from(`${BEFORE_KID}${kid}${AFTER_KID}`).toString('base64url');
}

/** The key that a header names, if it is the header that this key has. */
function kidOf(header: string): string | undefined {
  const text = Buffer.from(header, 'base64url').toString('latin1');
  if (!text.startsWith(BEFORE_KID) || !text.endsWith(AFTER_KID)) return undefined;
  const kid = text.slice(BEFORE_KID.length, -AFTER_KID.length);
  return isKid(kid) ? kid : undefined;
}

function decrypt(
  key: EncryptionKey,
  header: string,
  envelope: Parameters<typeof openEnvelope>[2],
): string {
  try {
    return openEnvelope(key, header, envelope).toString('latin1');
  } catch {
    // Without the cause: it says which step failed.
    throw refused();
  }
}

function refused(): TokenError {
  return new TokenError('ERR_TOKEN_ENCRYPTION', 'the token cannot be decrypted');
}
