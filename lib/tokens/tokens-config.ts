import type { SecurityEvents } from '../events/security-events.js';
import type { Clock } from '../kernel/clock.js';
import type { KeyRingService } from '../keys/key-ring.service.js';
import type { TrustedIssuers } from '../keys/remote/trusted-issuers.service.js';
import type { ClaimRules } from './claim-checks.js';
import type { LegacyTokensConfig } from './legacy-keys.js';
import type { TokenEncryptionConfig } from './nested-token.js';
import type { SigningRules } from './token-signer.js';
import type { TokenStanding } from './token-standing.js';

/** What tokens are told, and what they stand on. */

/** Another issuer, as far as its tokens are concerned. */
export interface TrustedIssuerConfig {
  readonly rules: ClaimRules;
  readonly tokenTypes: readonly string[];
}

/** The part of the configuration that tokens need. Lengths in seconds, as in claims. */
export interface TokensConfig extends ClaimRules, SigningRules {
  /** Entries of the verified-token cache; 0 for none. */
  readonly verifiedCacheEntries: number;
  /** How long a derived secret signs; `null` to sign with the secrets of the ring themselves. */
  readonly derivationPeriod: number | null;
  readonly trusted: readonly TrustedIssuerConfig[];
  /** How access tokens are encrypted; `null` for tokens that are signed only. */
  readonly encryption: TokenEncryptionConfig | null;
  /** The tokens of a time before this package; `null` where there are none. */
  readonly legacy: LegacyTokensConfig | null;
}

/** What tokens are signed, verified and judged with. */
export interface TokensSurroundings {
  readonly keyRing: KeyRingService;
  readonly trusted: TrustedIssuers;
  readonly standing: TokenStanding;
  readonly clock: Clock;
  readonly events: SecurityEvents;
}
