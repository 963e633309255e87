import { TOKEN_TYPES, type TokenKind } from './claims.js';
import type { JoseHeader } from './compact.js';
import type { IssuerKeys } from './issuer-keys.js';

/** Which header is that of which kind of token, so that none passes for another (RFC 8725 §3.11). */

/** Case-insensitive in ASCII only, `application/` optional (RFC 7515 §4.1.9). */
const TYP_PATTERNS = Object.fromEntries(
  Object.entries(TOKEN_TYPES).map(([kind, typ]) => [
    kind,
    new RegExp(`^(?:application/)?${typ.replaceAll('+', '\\+')}$`, 'i'),
  ]),
) as Readonly<Record<TokenKind, RegExp>>;

export function hasType({ typ }: JoseHeader, kind: TokenKind, { tokenTypes }: IssuerKeys): boolean {
  if (kind === 'access' && tokenTypes.length > 0) return tokenTypes.includes(typ ?? '');
  return typ !== undefined && TYP_PATTERNS[kind].test(typ);
}
