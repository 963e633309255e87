import type { Duration } from '../kernel/duration.js';
import type { TokenEncryptionOptions } from './encryption-options.js';

/** Options of tokens. */
export interface TokensOptions {
  /**
   * How long an access token lives when `sign` is not told otherwise. Whole seconds.
   * At most `'1d'`.
   * @defaultValue `'15m'`; `'5m'` in the profile `highSecurity`. Longer leaves a stolen token useful for longer.
   */
  readonly accessTtl?: Duration;

  /**
   * The longest lifetime (`exp - iat`) that is issued or accepted, at most `'1d'`. Whole seconds.
   * @defaultValue `'1h'`, `'5m'` in the profile `highSecurity`; `accessTtl` if that is longer; less if
   * `keys.retainFor` is shorter
   */
  readonly maxLifetime?: Duration;

  /**
   * How far clocks may differ when `exp`, `nbf` and `iat` are checked, at most `'60s'`.
   * @defaultValue `'10s'`
   */
  readonly leeway?: Duration;

  /**
   * Shortens each lifetime by a random part of this, so that tokens issued together do not all
   * expire, and refresh, together. Whole seconds.
   * @defaultValue `'0s'`
   */
  readonly lifetimeJitter?: Duration;

  /**
   * The `client_id` of tokens for which `sign` was given none (RFC 9068 §2.2).
   * @defaultValue none
   */
  readonly clientId?: string;

  /**
   * Claims that every token must have besides `iss aud exp iat sub jti`; both issued and accepted
   * tokens are held to it. RFC 9068 adds `client_id`.
   * @defaultValue `[]`
   */
  readonly requiredClaims?: readonly string[];

  /**
   * Claims, by name or path (`profile.email`), that may be issued although they look secret or
   * personal. Whoever holds a token can read it.
   * @defaultValue `[]`
   */
  readonly allowClaims?: readonly string[];

  /**
   * How many verified tokens are remembered, so that their signature is not checked again; about
   * 1.5 KB each. Size it above the number of tokens in use at a time. `null` checks every signature
   * on every request.
   * @defaultValue `{ maxEntries: 10_000 }`
   */
  readonly verifiedCache?: { readonly maxEntries: number } | null;

  /**
   * Encrypts access tokens, so that only this service can read them. `{}` for the defaults.
   * @defaultValue `null`: they are signed, and whoever holds one can read it; `{}` in the profile
   * `highSecurity`
   */
  readonly encryption?: TokenEncryptionOptions | null;
}
