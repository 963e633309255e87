import type { Duration } from '../kernel/duration.js';
import type { SigningAlgorithm } from '../keys/algorithms.js';
import type { PemSigningKey, PrivateJwk } from '../keys/key-material.js';
import type { Storage } from '../storage/storage.js';

/**
 * What an application writes. Everything but `issuer` and `audience` has a default that is safe;
 * what weakens it is an explicit `null` or a name that says so. Unknown names are refused.
 */
export interface JwtHardeningOptions {
  /**
   * The `iss` of every token issued, and the only one accepted (RFC 7519 §4.1.1); compared byte for
   * byte. Usually the https origin that serves the JWKS.
   */
  readonly issuer: string;

  /**
   * Who this service is: the `aud` of tokens issued, and what a token must name to be accepted
   * (RFC 7519 §4.1.3). With several, tokens carry all and naming one is enough.
   */
  readonly audience: string | readonly [string, ...string[]];

  /**
   * The set of defaults.
   * @defaultValue `'service'`: ES256 with rotating keys and a JWKS
   */
  readonly profile?: 'service';

  /** Signing keys and how long they live. */
  readonly keys?: KeysOptions;

  /** What tokens may say and how long they live. */
  readonly tokens?: TokensOptions;

  /**
   * Where state is kept: for now `memoryStorage()`, so that no private key leaves the process.
   * @defaultValue `memoryStorage()`: in this process, lost with it
   */
  readonly storage?: Storage;
}

/** What `forRootAsync({ useClass | useExisting })` asks for the options. */
export interface JwtHardeningOptionsFactory {
  createJwtHardeningOptions(): JwtHardeningOptions | Promise<JwtHardeningOptions>;
}

/** Options of the key ring. */
export interface KeysOptions {
  /**
   * What generated keys sign with (RFC 7518 §3.1, RFC 9864).
   * @defaultValue `'ES256'`: small tokens, fast to sign, understood everywhere
   */
  readonly algorithm?: SigningAlgorithm;

  /**
   * A private key of yours, as JWK (with `alg`, or `keys.algorithm`) or PEM, instead of generated
   * ones. It never rotates by itself, so the lengths below do not apply and may not be set.
   * @defaultValue none: keys are generated and rotate
   */
  readonly signingKey?: PrivateJwk | PemSigningKey;

  /**
   * How long a key signs before its successor takes over.
   * @defaultValue `'30d'`. Longer leaves a stolen key useful for longer.
   */
  readonly rotateEvery?: Duration;

  /**
   * How long a key is in the JWKS before it signs, so that every verifier has fetched it by then.
   * Longer than `jwksMaxAge` plus `tokens.leeway`.
   * @defaultValue `'1d'`
   */
  readonly publishAhead?: Duration;

  /**
   * How long a key verifies after it stopped signing: at least the longest token plus
   * `tokens.leeway`, or valid tokens would be refused.
   * @defaultValue `'1d'`
   */
  readonly retainFor?: Duration;

  /**
   * How long verifiers may keep the JWKS (`Cache-Control: max-age`). The answer says less shortly
   * before the ring changes.
   * @defaultValue `'5m'`, or as much less as `publishAhead` leaves room for
   */
  readonly jwksMaxAge?: Duration;
}

/** Options of tokens. */
export interface TokensOptions {
  /**
   * How long an access token lives when `sign` is not told otherwise. Whole seconds.
   * At most `'1d'`.
   * @defaultValue `'15m'`. Longer leaves a stolen token useful for longer.
   */
  readonly accessTtl?: Duration;

  /**
   * The longest lifetime (`exp - iat`) that is issued or accepted, at most `'1d'`. Whole seconds.
   * @defaultValue `'1h'`; `accessTtl` if that is longer; less if `keys.retainFor` is shorter
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
}

/** What shapes the module itself, and so stands beside the options also in `forRootAsync`. */
export interface JwtHardeningExtras {
  /**
   * Whether other modules can inject the services without importing this one.
   * @defaultValue `true`
   */
  readonly isGlobal?: boolean;

  /**
   * Whether the guard stands before every handler of the application. `'manual'` leaves that to
   * your own `@UseGuards(AuthGuard)`: a handler you forget is open.
   * @defaultValue `'global'`
   */
  readonly guard?: 'global' | 'manual';

  /**
   * Where the JWKS is served; `null` for nowhere.
   * @defaultValue `'/.well-known/jwks.json'`
   */
  readonly jwksPath?: string | null;
}
