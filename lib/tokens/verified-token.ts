import type { Confirmation } from '../binding/confirmation.js';
import type { FingerprintClaim } from '../binding/fingerprint/fingerprint-claim.js';
import type { SigningAlgorithm } from '../keys/algorithms.js';
import { NONE, scopeTokens, type TokenKind, type VerifiedClaims } from './claims.js';

/** What the verifier found out besides the claims. */
type SealedFacts = Pick<VerifiedToken, 'kid' | 'algorithm' | 'era'> &
  Partial<Pick<VerifiedToken, 'fingerprint' | 'encryptionKid'>>;

/**
 * A token that passed every check, as facts that never change: whether it has expired since, was
 * revoked or fits the request is asked on each use. Only this module makes one, so holding one is
 * proof of the checks.
 */
export class VerifiedToken {
  /** Keeps look-alikes out, for the compiler and at run time. */
  readonly #sealed = true;

  readonly kind: TokenKind;
  /** Of the key it was signed with; of a derived secret, that of the key it was derived from. */
  readonly kid: string;
  /** Of the key it was encrypted with; `undefined` for one that was signed only. */
  readonly encryptionKid: string | undefined;
  readonly algorithm: SigningAlgorithm;
  /** `iss`: who issued it. With `trust`, a subject means something only together with its issuer. */
  readonly issuer: string;
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
  /** What was revoked before it was issued; `undefined` if it was not issued by this service. */
  readonly era: number | undefined;
  /** `cnf`: what its sender has to prove; `undefined` for a token that is good in anybody's hands. */
  readonly confirmation: Confirmation | undefined;
  /** @internal What its sender looked like; only of a token of this service. */
  readonly fingerprint: FingerprintClaim | undefined;
  /** All claims, frozen to the last level. */
  readonly claims: VerifiedClaims;

  private constructor(
    kind: TokenKind,
    { kid, encryptionKid, algorithm, era, fingerprint }: SealedFacts,
    claims: VerifiedClaims,
  ) {
    this.kind = kind;
    this.kid = kid;
    this.encryptionKid = encryptionKid;
    this.algorithm = algorithm;
    this.issuer = claims.iss;
    this.subject = claims.sub;
    this.tokenId = claims.jti;
    this.sessionId = claims.sid;
    this.clientId = claims.client_id;
    this.issuedAt = claims.iat;
    this.expiresAt = claims.exp;
    this.scopes = Object.freeze(scopeTokens(claims.scope ?? '') ?? NONE);
    this.roles = claims.roles ?? NONE;
    this.permissions = claims.permissions ?? NONE;
    this.era = era;
    this.confirmation = claims.cnf;
    this.fingerprint = fingerprint;
    this.claims = claims;
    Object.freeze(this);
  }

  /** @internal For the verifier, after its last check. */
  static seal(kind: TokenKind, facts: SealedFacts, claims: VerifiedClaims): VerifiedToken {
    return new VerifiedToken(kind, facts, deepFreeze(claims));
  }

  /** @internal Whether a value came out of the verifier. */
  static isSealed(value: unknown): value is VerifiedToken {
    return typeof value === 'object' && value !== null && #sealed in value && value.#sealed;
  }
}

/** Depth is bounded by the strict JSON reader. */
export function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const name in value) deepFreeze(value[name]);
  }
  return value;
}
