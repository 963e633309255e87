import type { Duration } from '../kernel/duration.js';

/**
 * The tokens of an application that signed them with one shared secret (`@nestjs/jwt`,
 * `jsonwebtoken`): access tokens with HS256. They are accepted for a while, and never signed; until the
 * last of them has expired, whoever has the secret can be anybody.
 *
 * Such a token has to say `sub`, `iat` and `exp`. What it says in `iss` and `aud`, or leaves out, reads as
 * this service's own, and a missing `jti` as a digest of the token; its `kid` reads `'legacy'`, by which
 * `revokeKey('legacy')` ends them all. It is never taken from a cookie, and never for anything but an
 * access token.
 */
export interface LegacyOptions {
  /**
   * What signed them: a text is taken byte for byte, as those libraries do; bytes stand for a secret
   * that the application decoded first (`Buffer.from(text, 'base64')`). With several, any may have
   * signed.
   */
  readonly secrets: string | Uint8Array | readonly [LegacySecret, ...LegacySecret[]];

  /**
   * The first instant at which none is accepted any more: a date (`'2027-03-31'`, its beginning in UTC)
   * or an instant (`'2027-03-31T06:00:00Z'`). At most 400 days from now. Once it has passed, this whole
   * option can go; until then the application still starts with it, and says so.
   */
  readonly until: string;

  /**
   * Their `iss`, byte for byte; `null` if they have none.
   * @defaultValue `null`
   */
  readonly issuer?: string | null;

  /**
   * What they have to name in `aud`; `null` if they have none.
   * @defaultValue `null`
   */
  readonly audience?: string | null;

  /**
   * The `kid` in their headers; `null` if they have none.
   * @defaultValue `null`
   */
  readonly kid?: string | null;

  /**
   * Whether their `sub` is a text or, as with ids of many databases, a whole number; that one reads as
   * the text of its digits, which is what new tokens have to be issued for.
   * @defaultValue `'text'`
   */
  readonly subject?: 'text' | 'number';

  /**
   * Their longest lifetime (`exp - iat`), at most `'1d'`: no revocation is kept for longer, so a token that
   * outlives it would come back to life. Whole seconds.
   * @defaultValue `'1d'`
   */
  readonly maxLifetime?: Duration;

  /**
   * Whether the secret may be short, leaked or guessable, because it is what the old application has:
   * anybody who guesses it is anybody until `until`. What is no secret at all, such as a public key or
   * a certificate, stays refused.
   * @defaultValue `false`: a weak secret stops the start
   */
  readonly dangerouslyAllowWeakSecrets?: boolean;
}

/** One shared secret. */
export type LegacySecret = string | Uint8Array;
