import type { Duration } from '../kernel/duration.js';
import type { SigningAlgorithm } from '../keys/algorithms.js';
import type { CertificatePinOptions } from '../keys/remote/certificate-pins.js';
import type { PemSigningKey, PrivateJwk } from '../keys/key-material.js';
import type { KeyVault, Signer } from '../keys/signer.js';
import type { SubjectDirectory } from '../revocation/subject-directory.js';
import type { Storage } from '../storage/storage.js';
import type { AuthorizationOptions } from './authorization-options.js';
import type { BindingOptions } from './binding-options.js';
import type { ClientOptions } from './client-options.js';
import type { SessionsOptions } from './session-options.js';
import type { StepUpOptions } from './step-up-options.js';
import type { StatusListsOptions, TrustedStatusListsOptions } from './resolve-status-lists.js';
import type { TransportOptions } from './transport-options.js';

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
   * The set of defaults. `'service'`: ES256 with rotating keys and a JWKS, for tokens that others
   * verify too. `'monolith'`: HS256 with rotating secrets, for one application that verifies only its
   * own; every instance that can verify can also sign.
   * @defaultValue `'service'`
   */
  readonly profile?: 'service' | 'monolith';

  /** Signing keys and how long they live. */
  readonly keys?: KeysOptions;

  /** What tokens may say and how long they live. */
  readonly tokens?: TokensOptions;

  /** How long logins last, and what a refresh asks for. */
  readonly sessions?: SessionsOptions;

  /** Cookies, https, and the proxies in front of this service. */
  readonly transport?: TransportOptions;

  /** How tokens are tied to their senders, so that stolen ones are worth nothing. */
  readonly binding?: BindingOptions;

  /** How users authenticate anew, or confirm single actions. */
  readonly stepUp?: StepUpOptions;

  /**
   * Where state is kept: `memoryStorage()`, `redisStorage()`, `cacheManagerStorage()`, or your own.
   * @defaultValue `memoryStorage()`: in this process, lost with it; refused with
   * `NODE_ENV=production`
   */
  readonly storage?: Storage;

  /** What happens while the storage cannot be reached. */
  readonly outage?: OutageOptions;

  /**
   * The application's users, asked about the subject of every access token, so that one who is
   * disabled there is refused. Give it a cache: `cachedSubjects(directory, { ttl: '30s' })` of
   * `nest-jwt-hardening/cache-manager`.
   * @defaultValue none: a token stands until it expires or is revoked
   */
  readonly subjects?: SubjectDirectory;

  /**
   * The clients that may use the endpoints at `authorizationPath`, `tokenPath`, `revocationPath` and
   * `introspectionPath`.
   * @defaultValue `[]`
   */
  readonly clients?: readonly ClientOptions[];

  /** The login of native apps and other clients at `authorizationPath`. */
  readonly authorization?: AuthorizationOptions;

  /** The status lists at `statusListPath`. */
  readonly statusLists?: StatusListsOptions;

  /**
   * Other issuers whose access tokens are accepted, verified through their JWKS.
   * @defaultValue `[]`
   */
  readonly trust?: readonly TrustedIssuerOptions[];
}

/** Options for outages of the storage. */
export interface OutageOptions {
  /**
   * How long this instance goes by what it knows without hearing from the storage.
   * @defaultValue `'5s'`. Longer lets a withdrawn key, or a revoked token, pass for longer on an
   * instance that is cut off.
   */
  readonly maxLag?: Duration;

  /**
   * What happens then, unless `@OnStale()` at a route says otherwise. `'reject'` answers 503 with
   * `Retry-After`, never 401. `'acceptWithAlert'` goes on with what is known, and `key.stale` and
   * `revocation.stale` say so: what was withdrawn meanwhile passes until the storage is back.
   * @defaultValue `'reject'`
   */
  readonly onStale?: 'reject' | 'acceptWithAlert';
}

/** Another issuer. Its tokens pass every check that our own pass. */
export interface TrustedIssuerOptions {
  /** The `iss` of its tokens, byte for byte. Two entries never share one. */
  readonly issuer: string;

  /** Where its JWKS is: an https URL, fixed; redirects are not followed. */
  readonly jwksUri: string;

  /**
   * What its tokens must name in `aud`.
   * @defaultValue `audience`
   */
  readonly audience?: string | readonly [string, ...string[]];

  /**
   * What its tokens may be signed with; each key only with its own. Never a shared secret.
   * @defaultValue every asymmetric algorithm of this runtime
   */
  readonly algorithms?: readonly [SigningAlgorithm, ...SigningAlgorithm[]];

  /**
   * The header's `typ` its tokens may have, exactly. An issuer that has none of RFC 9068 may say
   * `'JWT'`; then nothing but the claims tells its ID tokens from its access tokens.
   * @defaultValue `at+jwt`, with or without `application/`
   */
  readonly tokenTypes?: readonly [string, ...string[]];

  /**
   * The longest lifetime (`exp - iat`) of its tokens. Whole seconds, at most `'1d'`.
   * @defaultValue `tokens.maxLifetime`
   */
  readonly maxLifetime?: Duration;

  /**
   * Claims its tokens must have besides `iss aud exp iat sub jti`.
   * @defaultValue `[]`
   */
  readonly requiredClaims?: readonly string[];

  /**
   * Which certificates its server may show, on top of the ordinary validation.
   * @defaultValue none: any valid certificate
   */
  readonly pins?: CertificatePinOptions;

  /**
   * How long its keys are kept when its answer does not say; what it says counts from a minute to an
   * hour.
   * @defaultValue `'10m'`
   */
  readonly cacheFor?: Duration;

  /**
   * How long its keys are used beyond that while it cannot be reached; afterwards its tokens are
   * answered with 503.
   * @defaultValue `'1h'`
   */
  readonly staleFor?: Duration;

  /**
   * For one fetch, from the name to the last byte.
   * @defaultValue `'5s'`
   */
  readonly timeout?: Duration;

  /**
   * The shortest pause between fetches for a `kid` nobody knows.
   * @defaultValue `'30s'`
   */
  readonly cooldown?: Duration;

  /**
   * The status lists that its tokens name in `status`: each token is looked up there. `null` for not.
   * @defaultValue looked up, at the origin of `jwksUri`
   */
  readonly statusLists?: TrustedStatusListsOptions | null;
}

/** What `forRootAsync({ useClass | useExisting })` asks for the options. */
export interface JwtHardeningOptionsFactory {
  createJwtHardeningOptions(): JwtHardeningOptions | Promise<JwtHardeningOptions>;
}

/** Options of the key ring. */
export interface KeysOptions {
  /**
   * What generated keys sign with (RFC 7518 §3.1, RFC 9864, FIPS 204). With several, each has its own
   * key and all can be asked for; the first is what `sign` uses unless told otherwise. So tokens move
   * from one algorithm to another: add the new one, let verifiers learn it, put it first, drop the old.
   * @defaultValue `'ES256'`: small tokens, fast to sign, understood everywhere; `'HS256'` in the
   * profile `monolith`, and only there
   */
  readonly algorithm?: SigningAlgorithm | readonly [SigningAlgorithm, ...SigningAlgorithm[]];

  /**
   * A key of yours instead of generated ones: a private JWK (with `alg`, or `keys.algorithm`), a PEM,
   * a `Signer` for a key in a KMS or HSM, or in the profile `monolith` a secret (JWK with `kty: 'oct'`
   * and `kid`). It never rotates by itself, so the lengths below do not apply and may not be set.
   * @defaultValue none: keys are generated and rotate
   */
  readonly signingKey?: PrivateJwk | PemSigningKey | Signer;

  /**
   * Keys that signed before `signingKey` and still verify: their JWKs, each with its `kid`. Take one
   * out when the last token it signed has expired.
   * @defaultValue `[]`
   */
  readonly previousKeys?: readonly PrivateJwk[];

  /**
   * Where keys are generated and sign, so that no private key is ever in this process or in the
   * storage: `pkcs11Vault()`, or your own `KeyVault`.
   * @defaultValue none: keys are generated here and stored sealed
   */
  readonly vault?: KeyVault;

  /**
   * What seals the key ring in the storage: 32 random bytes in base64url, or a list of such. The first
   * seals, all open, so that one can follow another: `rewrap()` moves the ring to the first. `null`,
   * alone or in the list, stands for a ring in clear: whoever reads the storage can sign, and whoever
   * writes it can add keys. They seal sessions as well (with `signingKey`, only those): without them,
   * whoever writes the storage can log in as anybody. When one is taken away, sessions that were not
   * refreshed since another came first have to log in again.
   * @defaultValue none, and needed for a storage outside this process unless there is a `signingKey`
   */
  readonly encryptionKeys?: string | null | readonly [string | null, ...(string | null)[]];

  /**
   * The deployment these keys are for, such as `'staging'`, or `null` for none. A key that says it is
   * for another is refused, and so is a stored ring that was made for another or for none: choose it
   * before the first start.
   * @defaultValue `NODE_ENV`; `null` if that is not set
   */
  readonly environment?: string | null;

  /**
   * Signs with secrets derived (HKDF) for each subject and period from those of the ring, so that one
   * that leaks signs for one subject, in one period. For `HS256` only.
   * @defaultValue `null`: the secrets of the ring sign themselves
   */
  readonly derivation?: { readonly period: Duration } | null;

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
   * @defaultValue `'1d'`; `'30d'` for `HS256`
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

  /**
   * Where clients send their users to log in (RFC 6749 §3.1, with PKCE), such as
   * `'/oauth/authorize'`; `null` for nowhere. Needs `authorization`, `clients` and `tokenPath`.
   * @defaultValue `null`
   */
  readonly authorizationPath?: string | null;

  /**
   * Where clients exchange codes and refresh tokens for tokens (RFC 6749 §3.2), such as
   * `'/oauth/token'`; `null` for nowhere. Needs `clients`.
   * @defaultValue `null`
   */
  readonly tokenPath?: string | null;

  /**
   * Where clients learn about these endpoints (RFC 8414): `'/.well-known/oauth-authorization-server'`,
   * with the path of `issuer` behind it if that has one; `null` for nowhere. Needs `tokenPath`. A
   * global prefix of the application must exclude it, and the endpoints it names.
   * @defaultValue `null`
   */
  readonly metadataPath?: string | null;

  /**
   * Where clients revoke their tokens (RFC 7009); `null` for nowhere. Needs `clients`.
   * @defaultValue `null`
   */
  readonly revocationPath?: string | null;

  /**
   * Where clients ask how a token stands (RFC 7662); `null` for nowhere. Needs `clients`.
   * @defaultValue `null`
   */
  readonly introspectionPath?: string | null;

  /**
   * Below which path the status lists of the access tokens are served (Token Status List), for services
   * that verify tokens without asking this one; `null` for none. With lists, every token that is signed
   * costs two writes to the storage.
   * @defaultValue `null`
   */
  readonly statusListPath?: string | null;
}
