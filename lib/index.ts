export { JwtHardeningModule } from './jwt-hardening.module.js';
export type {
  JwtHardeningExtras,
  JwtHardeningOptions,
  JwtHardeningOptionsFactory,
  KeysOptions,
  TokensOptions,
} from './config/options.js';

export { optionsFromEnvironment } from './config/environment.js';

export { KeyRingService } from './keys/key-ring.service.js';
export type { KeyDescription, Rotation } from './keys/key-ring.service.js';
export type { SigningAlgorithm } from './keys/algorithms.js';
export type { Jwks } from './keys/jwks.js';
export type { PemSigningKey, PrivateJwk, PublicJwk } from './keys/key-material.js';

export { TokenService } from './tokens/token.service.js';
export type { SignedToken, SignOptions, VerifyOptions } from './tokens/token.service.js';
export type { ClaimInput, TokenClaims, TokenKind, VerifiedClaims } from './tokens/claims.js';
export type { VerifiedToken } from './tokens/verified-token.js';

export { AuthGuard } from './guard/auth.guard.js';
export { currentToken } from './guard/current-token.js';
export {
  AnyScope,
  CurrentToken,
  Permissions,
  Policy,
  Public,
  Roles,
  Scopes,
} from './guard/decorators.js';
export type { PolicyFunction, PolicyInput } from './guard/decorators.js';
export { RouteAudit } from './guard/route-audit.js';
export type { AuditedRoute } from './guard/route-audit.js';

export { SecurityEvents } from './events/security-events.js';
export type { SecurityEvent, SecurityEventType } from './events/security-events.js';

export { memoryStorage } from './storage/memory/memory-storage.js';
export type { Storage } from './storage/storage.js';

export { Clock, SystemClock } from './kernel/clock.js';
export { secretsEqual } from './kernel/constant-time.js';
export type { Duration } from './kernel/duration.js';
export { AccessError, ClaimError, ConfigError, KeyError, TokenError } from './kernel/errors.js';
export type {
  AccessErrorCode,
  ClaimErrorCode,
  ConfigErrorCode,
  ConfigProblem,
  ErrorCode,
  JwtHardeningError,
  KeyErrorCode,
  TokenErrorCode,
} from './kernel/errors.js';
