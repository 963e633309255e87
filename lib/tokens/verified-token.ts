import type { SigningAlgorithm } from '../keys/algorithms.js';
import { NONE, scopeTokens, type TokenKind, type VerifiedClaims } from './claims.js';

/**
 * A token that passed every check, as facts that never change: whether it has expired since, was
 * revoked or fits the request is asked on each use. Only this module builds one, so holding one is
 * proof of the checks.
 */
export interface VerifiedToken {
  readonly kind: TokenKind;
  readonly kid: string;
  readonly algorithm: SigningAlgorithm;
  /** `sub` */
  readonly subject: string;
  /** `jti` */
  readonly tokenId: string;
  /** `sid`, if the token belongs to a session. */
  readonly sessionId: string | undefined;
  /** `client_id` (RFC 9068 §2.2), if the token names one. */
  readonly clientId: string | undefined;
  /** `iat`, in seconds since the epoch. */
  readonly issuedAt: number;
  /** `exp`, in seconds since the epoch. */
  readonly expiresAt: number;
  /** The tokens of `scope`. */
  readonly scopes: readonly string[];
  readonly roles: readonly string[];
  readonly permissions: readonly string[];
  /** All claims, frozen to the last level. */
  readonly claims: VerifiedClaims;
  /** Keeps look-alikes from compiling: nothing outside this module can name the symbol. */
  readonly [VERIFIED]: true;
}

declare const VERIFIED: unique symbol;

/** @internal For the verifier, after its last check. */
export function sealVerifiedToken(
  kind: TokenKind,
  key: { readonly kid: string; readonly algorithm: SigningAlgorithm },
  claims: VerifiedClaims,
): VerifiedToken {
  const frozen = deepFreeze(claims);
  const facts: Omit<VerifiedToken, typeof VERIFIED> = {
    kind,
    kid: key.kid,
    algorithm: key.algorithm,
    subject: frozen.sub,
    tokenId: frozen.jti,
    sessionId: frozen.sid,
    clientId: frozen.client_id,
    issuedAt: frozen.iat,
    expiresAt: frozen.exp,
    scopes: frozen.scope === undefined ? NONE : Object.freeze(scopeTokens(frozen.scope) ?? NONE),
    roles: frozen.roles ?? NONE,
    permissions: frozen.permissions ?? NONE,
    claims: frozen,
  };
  return Object.freeze(facts) as VerifiedToken;
}

/** Depth is bounded by the strict JSON reader. */
export function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const name in value) deepFreeze(value[name]);
  }
  return value;
}
