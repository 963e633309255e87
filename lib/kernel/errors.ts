/**
 * Coded errors, one class per family. The message is a constant text that is safe to show to a
 * client; what happened is in `code`, and `detail` says more to the log, never with a value taken
 * from a token, a key or a request.
 */

/** Why a token was refused. Stable: log queries and alerts are built on these. */
export type TokenErrorCode =
  | 'ERR_TOKEN_FORMAT'
  | 'ERR_TOKEN_TOO_LARGE'
  | 'ERR_TOKEN_JSON'
  | 'ERR_TOKEN_HEADER'
  | 'ERR_TOKEN_ALGORITHM'
  | 'ERR_TOKEN_TYPE'
  | 'ERR_TOKEN_KID'
  | 'ERR_TOKEN_UNKNOWN_KEY'
  | 'ERR_TOKEN_SIGNATURE'
  | 'ERR_TOKEN_CLAIM_MISSING'
  | 'ERR_TOKEN_CLAIM_INVALID'
  | 'ERR_TOKEN_ISSUER'
  | 'ERR_TOKEN_AUDIENCE'
  | 'ERR_TOKEN_EXPIRED'
  | 'ERR_TOKEN_NOT_YET_VALID'
  | 'ERR_TOKEN_LIFETIME'
  /** It is bound to another sender, or to a proof that cannot be checked here. */
  | 'ERR_TOKEN_BINDING'
  /** It is encrypted and cannot be decrypted here, or should be and is not. */
  | 'ERR_TOKEN_ENCRYPTION'
  | 'ERR_TOKEN_REVOKED'
  /** The `SubjectDirectory` does not know the subject, has disabled it, or raised its version. */
  | 'ERR_TOKEN_SUBJECT';

/** Why a token was not issued. These speak to the developer who called `sign`. */
export type ClaimErrorCode =
  | 'ERR_CLAIM_RESERVED'
  | 'ERR_CLAIM_INVALID'
  | 'ERR_CLAIM_SENSITIVE'
  | 'ERR_CLAIM_TOO_LARGE'
  | 'ERR_CLAIM_LIFETIME';

/** What is wrong with a key or with the key ring. */
export type KeyErrorCode =
  | 'ERR_KEY_INVALID'
  | 'ERR_KEY_WEAK'
  | 'ERR_KEY_STATIC'
  | 'ERR_KEY_UNKNOWN'
  /** The key was made for another deployment. */
  | 'ERR_KEY_ENVIRONMENT'
  /** What holds the private key did not sign. */
  | 'ERR_KEY_SIGNER_FAILED'
  /** Another issuer's keys cannot be fetched, and none that are known will do. */
  | 'ERR_KEY_ISSUER_UNAVAILABLE'
  | 'ERR_KEY_RING_CORRUPT'
  /** No key-encryption key of this instance opens it. */
  | 'ERR_KEY_RING_UNREADABLE'
  /** The store was not heard of for longer than `outage.maxLag`. */
  | 'ERR_KEY_RING_STALE'
  | 'ERR_KEY_RING_CONFLICT'
  | 'ERR_KEY_RING_UNAVAILABLE';

/** Why it cannot be said whether a token was revoked. Nothing is wrong with the token itself. */
export type RevocationErrorCode =
  /** The log could not be read when the application started. */
  | 'ERR_REVOCATION_UNAVAILABLE'
  /** The store was not heard of for longer than `outage.maxLag`. */
  | 'ERR_REVOCATION_STALE'
  /** The `SubjectDirectory` failed, or answered nonsense. */
  | 'ERR_SUBJECT_UNAVAILABLE'
  /** Another issuer's status list cannot be had, or what is known of it is too old. */
  | 'ERR_STATUS_LIST_UNAVAILABLE';

/** Why a session did not go on. */
export type SessionErrorCode =
  /** What was presented is no refresh token. */
  | 'ERR_SESSION_MALFORMED'
  /** There is no such session: never, no longer, or it is another client's. */
  | 'ERR_SESSION_UNKNOWN'
  /** The refresh token was used before: the session has ended with this use. */
  | 'ERR_SESSION_REUSED'
  /** The session was ended by the use of such a token, some time ago. */
  | 'ERR_SESSION_ENDED'
  /** Its subject, the session or everything was revoked. */
  | 'ERR_SESSION_REVOKED'
  /** The application no longer lets its subject in. */
  | 'ERR_SESSION_SUBJECT'
  /** More scope was asked for than the session has. */
  | 'ERR_SESSION_SCOPE'
  /** It looks as if somebody else presents the token; the session stays. */
  | 'ERR_SESSION_SENDER';

/** Why what a sender proves itself with was refused (RFC 9449 §4.3, RFC 8705). */
export type ProofErrorCode =
  /** A proof is needed and there is none. */
  | 'ERR_PROOF_MISSING'
  | 'ERR_PROOF_FORMAT'
  | 'ERR_PROOF_ALGORITHM'
  | 'ERR_PROOF_KEY'
  | 'ERR_PROOF_SIGNATURE'
  /** `htm` */
  | 'ERR_PROOF_METHOD'
  /** `htu` */
  | 'ERR_PROOF_URL'
  /** `iat` */
  | 'ERR_PROOF_TIME'
  /** There is none, or it is over: the answer brings another one. */
  | 'ERR_PROOF_NONCE'
  /** `ath` */
  | 'ERR_PROOF_TOKEN'
  | 'ERR_PROOF_REPLAYED'
  /** Too many proofs by one key. */
  | 'ERR_PROOF_LIMITED'
  | 'ERR_PROOF_CERTIFICATE';

/** Why an incident is not over. */
export type IncidentErrorCode =
  /** Some steps failed; the others are done. Run it again: what is done stays done. */
  'ERR_INCIDENT_INCOMPLETE';

/** Why a store did not do what it was asked. Nothing is lost or granted by it. */
export type StoreErrorCode =
  /** No answer in time, no connection, or an answer that is an error. */
  | 'ERR_STORE_UNAVAILABLE'
  /** There is no room left, and nothing that is still needed is thrown away for it. */
  | 'ERR_STORE_FULL'
  /** What it holds is not what this package wrote. */
  | 'ERR_STORE_CORRUPT'
  /** The storage was closed. */
  | 'ERR_STORE_CLOSED';

/** Why a request did not reach its handler although nothing was wrong with its token. */
export type AccessErrorCode =
  | 'ERR_ACCESS_NO_CREDENTIALS'
  | 'ERR_ACCESS_AMBIGUOUS_CREDENTIALS'
  /** A cookie brought the token, and nothing shows that the application's own page sent the request. */
  | 'ERR_ACCESS_CSRF'
  /** It came over http, where https is required. */
  | 'ERR_ACCESS_INSECURE'
  | 'ERR_ACCESS_DENIED'
  /** The user has to authenticate anew, more strongly, or confirm this one action (RFC 9470). */
  | 'ERR_ACCESS_STEP_UP'
  | 'ERR_ACCESS_POLICY_FAILED'
  | 'ERR_ACCESS_UNSUPPORTED_CONTEXT'
  | 'ERR_ACCESS_UNKNOWN_HANDLER'
  | 'ERR_ACCESS_UNAVAILABLE';

/** A mistake of the developer or operator, found while the application starts. */
export type ConfigErrorCode = 'ERR_CONFIG_INVALID' | 'ERR_CONFIG_ROUTES';

export type ErrorCode =
  | TokenErrorCode
  | ClaimErrorCode
  | KeyErrorCode
  | RevocationErrorCode
  | SessionErrorCode
  | ProofErrorCode
  | IncidentErrorCode
  | StoreErrorCode
  | AccessErrorCode
  | ConfigErrorCode;

abstract class CodedError<Code extends ErrorCode> extends Error {
  constructor(
    readonly code: Code,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** A token was refused. Every refusal has the same message; `code` and `detail` are for the log. */
export class TokenError extends CodedError<TokenErrorCode> {
  readonly detail: string;

  constructor(code: TokenErrorCode, detail: string, options?: ErrorOptions) {
    super(code, 'The token was refused.', options);
    this.detail = detail;
  }
}

/** A token cannot be issued with these claims; names the claim, never its value. */
export class ClaimError extends CodedError<ClaimErrorCode> {}

/** A key, or the key ring, cannot be used; names the reason, never key material. */
export class KeyError extends CodedError<KeyErrorCode> {}

/** Whether a token was revoked cannot be said; the answer is 503, never 401. */
export class RevocationError extends CodedError<RevocationErrorCode> {}

/** A session did not go on. Every refusal has the same message; `code` and `detail` are for the log. */
export class SessionError extends CodedError<SessionErrorCode> {
  readonly detail: string;

  constructor(code: SessionErrorCode, detail: string, options?: ErrorOptions) {
    super(code, 'The session was refused.', options);
    this.detail = detail;
  }
}

/** A proof was refused. Every refusal has the same message; `code` and `detail` are for the log. */
export class ProofError extends CodedError<ProofErrorCode> {
  readonly detail: string;
  /** What the next proof is to say in `nonce`, if the client needs one. */
  readonly nonce: string | undefined;

  constructor(
    code: ProofErrorCode,
    detail: string,
    options: ErrorOptions & { readonly nonce?: string | undefined } = {},
  ) {
    super(code, 'The proof was refused.', options);
    this.detail = detail;
    this.nonce = options.nonce;
  }
}

/** A store failed; names what it was asked to do, never what it holds. */
export class StoreError extends CodedError<StoreErrorCode> {}

/** A request was refused before its handler ran, for a reason other than its token. */
export class AccessError extends CodedError<AccessErrorCode> {
  readonly detail: string;
  /** The scope that was demanded, when more scope would have been enough (RFC 6750 §3). */
  readonly requiredScope: string | undefined;

  constructor(
    code: AccessErrorCode,
    detail: string,
    options: ErrorOptions & { readonly requiredScope?: string | undefined } = {},
  ) {
    super(code, 'The request was refused.', options);
    this.detail = detail;
    this.requiredScope = options.requiredScope;
  }
}

/** What would be enough (RFC 9470 §3). */
export interface StepUpChallenge {
  /** Seconds since the user authenticated, at most. */
  readonly maxAge?: number;
  /** Any of these, the preferred first. */
  readonly acrValues?: readonly string[];
  /** What has to be confirmed. */
  readonly action?: string;
}

/** The token is right, and not enough for this. */
export class StepUpRequired extends AccessError {
  constructor(
    readonly challenge: StepUpChallenge,
    detail: string,
  ) {
    super('ERR_ACCESS_STEP_UP', detail);
  }
}

/** One mistake in the configuration: where it is, what is wrong, what to write instead. */
export interface ConfigProblem {
  readonly path: string;
  readonly problem: string;
  readonly fix: string;
}

/** Everything that is wrong with the configuration, all at once. */
export class ConfigError extends CodedError<ConfigErrorCode> {
  constructor(
    code: ConfigErrorCode,
    readonly problems: readonly ConfigProblem[],
  ) {
    const lines = problems.map(({ path, problem, fix }) => `  - ${path}: ${problem}. ${fix}`);
    const count = problems.length === 1 ? '1 problem' : `${problems.length} problems`;
    super(code, `nest-jwt-hardening cannot start, ${count} to fix:\n${lines.join('\n')}`);
  }
}

/** Every error this package throws on purpose, discriminated by `code`. */
export type JwtHardeningError =
  | TokenError
  | ClaimError
  | KeyError
  | RevocationError
  | SessionError
  | ProofError
  | StoreError
  | AccessError
  | ConfigError;
