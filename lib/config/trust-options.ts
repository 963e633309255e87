import type { Duration } from '../kernel/duration.js';
import type { SigningAlgorithm } from '../keys/algorithms.js';
import type { CertificatePinOptions } from '../keys/remote/certificate-pins.js';
import type { TrustedStatusListsOptions } from './resolve-status-lists.js';

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
