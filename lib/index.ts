export { JwtHardeningModule } from './jwt-hardening.module.js';
export type {
  JwtHardeningExtras,
  JwtHardeningOptions,
  JwtHardeningOptionsFactory,
  OutageOptions,
} from './config/options.js';
export type { KeysOptions } from './config/key-options.js';
export type { TokensOptions } from './config/token-options.js';
export type { TokenEncryptionOptions } from './config/encryption-options.js';
export type { TrustedIssuerOptions } from './config/trust-options.js';
export type { LegacyOptions, LegacySecret } from './config/legacy-options.js';

export type { BindingOptions } from './config/binding-options.js';
export type { DpopOptions } from './config/dpop-options.js';
export type { MtlsOptions } from './config/mtls-options.js';
export type {
  AddressBindingOptions,
  FingerprintOptions,
  RapidChangeOptions,
  SignalOptions,
  ThresholdOptions,
} from './config/fingerprint-options.js';
export type { StepUpOptions } from './config/step-up-options.js';
export type { SessionsOptions } from './config/session-options.js';
export type { AuthorizationOptions } from './config/authorization-options.js';
export type { ClientAuthenticationOptions, ClientOptions } from './config/client-options.js';
export type {
  AuthorizationAsk,
  AuthorizationDecision,
  AuthorizationGrant,
  AuthorizationLogin,
} from './endpoints/authorization-login.js';
export type {
  StatusListsOptions,
  TrustedStatusListsOptions,
} from './config/resolve-status-lists.js';

export { optionsFromEnvironment } from './config/environment.js';

export { KeyRingService } from './keys/key-ring.service.js';
export type {
  Compromise,
  KeyDescription,
  KeyRingHealth,
  Rotation,
} from './keys/key-description.js';
export { TrustedIssuers } from './keys/remote/trusted-issuers.service.js';
export type { RemoteJwksStatus } from './keys/remote/remote-jwks.js';
export type { CertificatePinOptions } from './keys/remote/certificate-pins.js';
export { KeyVault } from './keys/signer.js';
export type { Signer } from './keys/signer.js';
export { KeyStore } from './keys/key-store.js';
export type { LoadedKeyRing, StoredKeyRing } from './keys/key-store.js';
export type { EncryptionAlgorithm, KeyAlgorithm, SigningAlgorithm } from './keys/algorithms.js';
export type { Jwks } from './keys/jwks.js';
export type { PemSigningKey, PrivateJwk, PublicJwk } from './keys/key-material.js';

export { TokenService } from './tokens/token.service.js';
export type { SignedToken, SignOptions } from './tokens/token-signer.js';
export type { VerifyOptions } from './tokens/token.service.js';
export type { ClaimInput, TokenClaims, TokenKind, VerifiedClaims } from './tokens/claims.js';
export type { VerifiedToken } from './tokens/verified-token.js';

export { AuthGuard } from './guard/auth.guard.js';
export { currentToken } from './guard/current-token.js';
export {
  AnyScope,
  Bound,
  CurrentToken,
  DuringStepUp,
  OnStale,
  Permissions,
  Policy,
  Public,
  RequireStepUp,
  Roles,
  Scopes,
} from './guard/decorators.js';
export type { PolicyFunction, PolicyInput } from './guard/decorators.js';
export type { StepUpRequirement } from './guard/step-up-demand.js';
export { RouteAudit } from './guard/route-audit.js';
export type { AuditedRoute } from './guard/route-audit.js';

export { ClientAddress } from './binding/client-address.js';
export type { ConnectedRequest, ConnectedSocket } from './binding/client-address.js';
export type { Confirmation, Proof } from './binding/confirmation.js';
export type { SenderSignals } from './binding/fingerprint/sender-signals.js';
export { SenderProofs } from './binding/sender-proofs.service.js';
export type { ProvenSender, SenderBinding } from './binding/sender-proofs.service.js';
export type { SenderRequest } from './binding/sender-request.js';
export { StepUpService } from './step-up/step-up.service.js';
export type { ConfirmationAsk, IssuedConfirmation } from './step-up/step-up.service.js';
export { SecondFactor } from './step-up/second-factor.js';
export type { FactorAsk, ProvenFactor } from './step-up/second-factor.js';
export type { FactorVerdict } from './step-up/factor-checks.js';
export type { StepUpStart } from './step-up/succession.js';
export { SessionAnswers } from './transport/session-answers.service.js';
export { SessionCookies } from './transport/session-cookies.service.js';
export type { CookieAnswer } from './transport/session-cookies.service.js';
export type { HttpRequest } from './guard/credentials.js';
export type { SessionCookieOptions, TransportOptions } from './config/transport-options.js';

export { SecurityEvents } from './events/security-events.js';
export type { SecurityEvent, SecurityEventType } from './events/security-events.js';

export { memoryStorage } from './storage/memory/memory-storage.js';
export type { MemoryStorageOptions } from './storage/memory/memory-storage.js';
export { NotCarried } from './storage/storage.js';
export type { Storage, StorageStatus } from './storage/storage.js';
export { StorageHealth } from './storage/storage-health.service.js';
export { RevocationService } from './revocation/revocation.service.js';
export type {
  RevocationHealth,
  RevocationStatus,
  Revoked,
  RevokeOptions,
  RevokeSubjectOptions,
} from './revocation/revoked.js';
export { StatusLists } from './status-list/status-lists.service.js';
export type { PublishedStatusList } from './status-list/status-list-publisher.js';
export { StatusListReader } from './status-list/status-list-reader.js';
export type { TokenStatus } from './status-list/status-list-reader.js';
export { EmergencyService } from './emergency/emergency.service.js';
export { IncidentError } from './emergency/incident-error.js';
export type {
  EmergencyStep,
  Incident,
  IncidentCounts,
  IncidentKind,
  IncidentPlan,
  IncidentReport,
  StepReport,
} from './emergency/incident.js';
export { SubjectDirectory } from './revocation/subject-directory.js';
export type { SubjectReference, SubjectStanding } from './revocation/subject-directory.js';
export type { RevocationKind } from './revocation/revocation-entry.js';
export type { OnStale as StaleChoice } from './kernel/outage.js';
export { RevocationLog } from './revocation/revocation-log.js';
export type {
  LogFollower,
  LoggedRevocation,
  LogPage,
  RevocationEntry,
} from './revocation/revocation-log.js';
export { SessionService } from './sessions/session.service.js';
export type { EntitlementsOf } from './sessions/entitlements.js';
export type {
  Carrier,
  Entitlements,
  SessionBinding,
  SessionInfo,
  SessionReference,
  SessionRefresh,
  SessionReuse,
  SessionStart,
  TokenPair,
} from './sessions/session.js';
export { SessionStore } from './sessions/session-store.js';
export type {
  FoundSession,
  Misuse,
  NextToken,
  PresentedToken,
  RotationVerdict,
  SessionKey,
  SessionRecord,
} from './sessions/session-store.js';
export { ReplayStore } from './binding/replay-store.js';
export { AttemptStore } from './abuse/attempt-store.js';
export type { Attempts } from './abuse/attempt-store.js';

export { Clock, SystemClock } from './kernel/clock.js';
export { secretsEqual } from './kernel/constant-time.js';
export type { Duration } from './kernel/duration.js';
export {
  AccessError,
  ClaimError,
  ConfigError,
  KeyError,
  ProofError,
  RevocationError,
  SessionError,
  StepUpRequired,
  StoreError,
  TokenError,
} from './kernel/errors.js';
export type {
  AccessErrorCode,
  ClaimErrorCode,
  ConfigErrorCode,
  ConfigProblem,
  ErrorCode,
  IncidentErrorCode,
  JwtHardeningError,
  KeyErrorCode,
  ProofErrorCode,
  RevocationErrorCode,
  SessionErrorCode,
  StepUpChallenge,
  StoreErrorCode,
  TokenErrorCode,
} from './kernel/errors.js';
