import type { Duration } from '../kernel/duration.js';
import type { SubjectDirectory } from '../revocation/subject-directory.js';
import type { Storage } from '../storage/storage.js';
import type { AuthorizationOptions } from './authorization-options.js';
import type { BindingOptions } from './binding-options.js';
import type { ClientOptions } from './client-options.js';
import type { KeysOptions } from './key-options.js';
import type { LegacyOptions } from './legacy-options.js';
import type { SessionsOptions } from './session-options.js';
import type { StepUpOptions } from './step-up-options.js';
import type { StatusListsOptions } from './resolve-status-lists.js';
import type { TokensOptions } from './token-options.js';
import type { TransportOptions } from './transport-options.js';
import type { TrustedIssuerOptions } from './trust-options.js';

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
   * own; every instance that can verify can also sign. `'highSecurity'`: encrypted tokens of 5 minutes,
   * bound to a key of their sender, in sessions of 12 hours. `'native'`: for apps on devices, tokens are
   * bound to a key of theirs. `'legacy'`: as `'service'`, beside tokens that an application signed with
   * one shared secret before; needs `legacy`. Whatever is written wins.
   * @defaultValue `'service'`
   */
  readonly profile?: 'service' | 'monolith' | 'highSecurity' | 'native' | 'legacy';

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

  /**
   * The tokens of an application that comes from `@nestjs/jwt` and one shared secret. In the profile
   * `legacy`, and only there.
   */
  readonly legacy?: LegacyOptions;
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

/** What `forRootAsync({ useClass | useExisting })` asks for the options. */
export interface JwtHardeningOptionsFactory {
  createJwtHardeningOptions(): JwtHardeningOptions | Promise<JwtHardeningOptions>;
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
