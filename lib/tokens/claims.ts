import type { Confirmation } from '../binding/confirmation.js';
import type { JsonValue } from '../kernel/strict-json.js';

/**
 * What tokens say, and who may say it.
 */

/** The kinds of JWT this package signs, each with a `typ` of its own (RFC 8725 §3.11). */
export const TOKEN_TYPES = {
  /** RFC 9068 §2.1: what a guarded route accepts. */
  access: 'at+jwt',
  /** A one-time confirmation of one action. */
  confirmation: 'confirmation+jwt',
  /** OpenID Connect Back-Channel Logout 1.0 §2.4. */
  logout: 'logout+jwt',
  /** RFC 9701 §5. */
  introspection: 'token-introspection+jwt',
  /** RFC 8417 §2.3. */
  securityEvent: 'secevent+jwt',
  /** Token Status List §5.1. */
  statusList: 'statuslist+jwt',
} as const;

export type TokenKind = keyof typeof TOKEN_TYPES;

/** Claims only the issuing service sets; a caller that names one is refused, not overruled. */
export const RESERVED_CLAIMS = [
  'iss',
  'aud',
  'exp',
  'nbf',
  'iat',
  'jti',
  'cnf',
  'era',
  'token_version',
  'status',
  'csrf',
  'fingerprint',
] as const;

/** The claims a verified token always has. `nbf` is always issued and checked when present. */
export const MANDATORY_CLAIMS = ['iss', 'aud', 'exp', 'iat', 'sub', 'jti'] as const;

/** What a caller of `TokenService.sign` chooses. */
export interface TokenClaims {
  /** The subject: 1 to 255 characters, none of them a control character. */
  readonly sub: string;
  /** Scopes, as a list or as RFC 6749 §3.3 text. */
  readonly scope?: string | readonly string[];
  readonly roles?: readonly string[];
  readonly permissions?: readonly string[];
  /** The session the token belongs to. */
  readonly sid?: string;
  /** The client it was issued to (RFC 9068 §2.2). @defaultValue `tokens.clientId` */
  readonly client_id?: string;
  /** When the user last authenticated, in seconds (RFC 9470 §4). */
  readonly auth_time?: number;
  readonly acr?: string;
  readonly amr?: readonly string[];
  /** Set by the service. */
  readonly iss?: never;
  readonly aud?: never;
  readonly exp?: never;
  readonly nbf?: never;
  readonly iat?: never;
  readonly jti?: never;
  readonly cnf?: never;
  readonly era?: never;
  readonly token_version?: never;
  readonly status?: never;
  readonly csrf?: never;
  readonly fingerprint?: never;
  /** Anything else that is JSON and neither secret nor personal. */
  readonly [claim: string]: ClaimInput | undefined;
}

/** A JSON value a caller may pass, read-only lists included. */
export type ClaimInput =
  | string
  | number
  | boolean
  | null
  | readonly ClaimInput[]
  | { readonly [name: string]: ClaimInput | undefined };

/** The claims of a token this service issued or verified. Frozen to the last level. */
export interface VerifiedClaims {
  readonly iss: string;
  readonly sub: string;
  readonly aud: string | readonly string[];
  /** Seconds since the epoch, as are `iat`, `nbf` and `auth_time` (RFC 7519 §2, NumericDate). */
  readonly exp: number;
  readonly iat: number;
  readonly nbf?: number;
  readonly jti: string;
  /** What of its subject was revoked before this token was issued: see `RevocationService`. */
  readonly era?: number;
  /** The version of its subject in the `SubjectDirectory` when it was issued. */
  readonly token_version?: number;
  /** The digest of the CSRF token that must accompany it where it travels in a cookie. */
  readonly csrf?: string;
  /** What its sender has to prove (RFC 7800 §3.1). */
  readonly cnf?: Confirmation;
  readonly client_id?: string;
  readonly sid?: string;
  readonly scope?: string;
  readonly roles?: readonly string[];
  readonly permissions?: readonly string[];
  readonly auth_time?: number;
  readonly acr?: string;
  readonly amr?: readonly string[];
  readonly [claim: string]: JsonValue | Confirmation | readonly string[] | undefined;
}

/** RFC 6749 §3.3: one space between tokens of printable characters, no quote, no backslash. */
const SCOPE_TOKEN = /^[\x21\x23-\x5b\x5d-\x7e]+$/;

export function isScopeToken(value: unknown): value is string {
  return typeof value === 'string' && SCOPE_TOKEN.test(value);
}

/** No names at all. */
export const NONE: readonly string[] = Object.freeze([]);

/** The scope tokens of a `scope` claim, or `undefined` when it is not RFC 6749 §3.3 text. */
export function scopeTokens(scope: string): readonly string[] | undefined {
  if (scope === '') return NONE;
  const tokens = scope.split(' ');
  return tokens.every(isScopeToken) ? tokens : undefined;
}

/** Longest identifier (`sub`, `jti`, `sid`, `client_id`), in characters. */
const MAX_IDENTIFIER_LENGTH = 255;
/** Control characters, line separators, and marks that reorder text in a log. */
const UNPRINTABLE = /[\p{Cc}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/u;
const PLAIN = /^[\x21-\x7e]+$/;

/** Whether a value can name someone or something: short, not blank, nothing unprintable. */
export function isIdentifier(value: unknown): value is string {
  if (typeof value !== 'string' || value.length > MAX_IDENTIFIER_LENGTH) return false;
  if (PLAIN.test(value)) return true;
  return value.trim() !== '' && !UNPRINTABLE.test(value) && value.isWellFormed();
}

/** Whether a value is a list of names, as `roles`, `permissions` and `amr` are. */
export function isNameList(value: unknown): value is readonly string[] {
  // `every` passes over the holes of a list, `includes` does not.
  return Array.isArray(value) && !value.includes(undefined) && value.every(isIdentifier);
}
