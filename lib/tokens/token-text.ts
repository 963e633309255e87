import { LRUCache } from 'lru-cache';

import { TokenError } from '../kernel/errors.js';
import type { OnStale } from '../kernel/outage.js';
import type { EncryptionKey } from '../keys/encryption-key.js';
import type { TokenKind } from './claims.js';
import { type CompactToken, type JoseHeader, readCompact, readHeader } from './compact.js';
import { isNested, type NestedTokens } from './nested-token.js';

/** A token taken apart. Nothing it says is believed yet. */
export interface TokenText {
  readonly compact: CompactToken;
  readonly header: JoseHeader;
  /** What it was decrypted with; `undefined` for one that is signed only. */
  readonly envelope: EncryptionKey | undefined;
}

/** More than the keys and kinds in use at a time. */
const MAX_HEADERS = 64;

/** Takes the text of a token apart, through its encryption if it has one. */
export class TokenTexts {
  /** Headers of verified tokens by their text: all tokens of one key and kind share it. */
  readonly #headers = new LRUCache<string, JoseHeader>({ max: MAX_HEADERS });

  /** @param nested `undefined` if tokens are signed only: then an encrypted one is no token */
  constructor(private readonly nested: NestedTokens | undefined) {}

  /** @throws TokenError, KeyError as `NestedTokens.open`, `readCompact` and `readHeader` */
  read(token: string, kind: TokenKind, onStale: OnStale | undefined): TokenText {
    // Only access tokens are: the other kinds never leave this service for long.
    const { nested } = this;
    const isAccess = nested !== undefined && kind === 'access';
    const opened = isAccess && isNested(token) ? nested.open(token, onStale) : undefined;
    const compact = readCompact(opened?.content ?? token);
    const header = this.#headers.get(compact.header) ?? readHeader(compact);
    return { compact, header, envelope: opened?.key };
  }

  /** The header was that of a token whose signature is right. */
  remember({ compact, header }: Pick<TokenText, 'compact' | 'header'>): void {
    if (!this.#headers.has(compact.header)) this.#headers.set(compact.header, header);
  }

  /**
   * Nobody gets around the encryption by leaving it out.
   * @throws TokenError `ERR_TOKEN_ENCRYPTION`
   */
  assertEncrypted({ envelope }: Pick<TokenText, 'envelope'>, kind: TokenKind): void {
    if (kind === 'access' && envelope === undefined && this.nested?.accept === 'encrypted') {
      throw new TokenError('ERR_TOKEN_ENCRYPTION', 'the token is not encrypted');
    }
  }

  /** Whether the key that opened a token still decrypts; none is needed where none was. */
  stands({ envelope }: Pick<TokenText, 'envelope'>, onStale: OnStale | undefined): boolean {
    return envelope === undefined || this.nested?.stands(envelope, onStale) === true;
  }
}
