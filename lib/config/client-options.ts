import type { JsonWebKey } from 'node:crypto';

/** A client of the OAuth endpoints, and how it shows who it is. */
export interface ClientOptions {
  /** Its `client_id`: 1 to 255 printable ASCII characters. It revokes tokens whose `client_id` it is. */
  readonly clientId: string;

  /** The one method it authenticates with (RFC 6749 §2.3). */
  readonly authentication: ClientAuthenticationOptions;

  /**
   * What it may ask for: `'revoke'` for tokens of its own, `'introspect'` for any token of this
   * service. An application that receives tokens introspects; one that was given them revokes.
   */
  readonly may: readonly ('revoke' | 'introspect')[];
}

export type ClientAuthenticationOptions =
  | {
      /** A secret in the `Authorization` header (RFC 6749 §2.3.1). Never in the body. */
      readonly method: 'client_secret_basic';
      /**
       * The secret and, while it changes, the one before: each of 32 random bytes, as
       * `openssl rand -hex 32` prints. Only digests are kept.
       */
      readonly secrets: readonly [string] | readonly [string, string];
    }
  | {
      /**
       * A JWT that the client signs for each request (RFC 7523, OpenID Connect Core §9): `iss` and
       * `sub` its id, `aud` this issuer alone, `exp` at most five minutes ahead, `jti` new each time.
       * Needs a storage that remembers it: not `cacheManagerStorage()`.
       */
      readonly method: 'private_key_jwt';
      /** Its public keys, each with `kid` and one `alg`. */
      readonly jwks: { readonly keys: readonly JsonWebKey[] };
    };
