import { LRUCache } from 'lru-cache';

import type { EncryptionKey } from '../keys/encryption-key.js';
import type { VerificationKey } from '../keys/key-material.js';
import type { RevocableToken } from '../revocation/revocable-token.js';
import type { IssuerKeys } from './issuer-keys.js';
import type { VerifiedToken } from './verified-token.js';

interface Entry {
  readonly token: string;
  readonly issuer: IssuerKeys;
  readonly key: VerificationKey;
  readonly envelope: EncryptionKey | undefined;
  readonly verified: VerifiedToken;
  readonly revocable: RevocableToken;
}

/** Characters of a token that count as one entry. */
const TYPICAL_LENGTH = 1024;

/**
 * Remembers which tokens had a right signature and right claims, so that the next request with the
 * same token skips both. Bounded, least recently used first; only verified tokens enter, so nobody
 * can flood it with junk.
 *
 * Entries are found by the last part, a signature or the tag of an encrypted token, and compared as a whole: a colliding key, a truncated
 * digest or a `jti` would let one token answer for another (CVE-2026-35039). Whatever can change
 * after the fact is for the caller to ask again.
 */
export class VerifiedCache {
  readonly #entries: LRUCache<string, Entry>;

  constructor(maxEntries: number) {
    this.#entries = new LRUCache({
      max: maxEntries,
      // Long tokens count for several, so that memory is bounded and not only the number.
      maxSize: maxEntries * TYPICAL_LENGTH,
      sizeCalculation: ({ token }) => token.length,
    });
  }

  find(token: string): Entry | undefined {
    const entry = this.#entries.get(lastPart(token));
    return entry !== undefined && entry.token === token ? entry : undefined;
  }

  remember(entry: Entry): void {
    this.#entries.set(lastPart(entry.token), entry);
  }

  forget(token: string): void {
    this.#entries.delete(lastPart(token));
  }

  /** All that it remembers. */
  *tokens(): Generator<Entry> {
    yield* this.#entries.values();
  }

  /** How many tokens it remembers. */
  get size(): number {
    return this.#entries.size;
  }
}

function lastPart(token: string): string {
  return token.slice(token.lastIndexOf('.') + 1);
}
