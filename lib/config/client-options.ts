import type { JsonWebKey } from 'node:crypto';

/** A client of the OAuth endpoints, and how it shows who it is. */
export interface ClientOptions {
  /** Its `client_id`: 1 to 255 printable ASCII characters. It revokes tokens whose `client_id` it is. */
  readonly clientId: string;

  /** The one method it authenticates with (RFC 6749 §2.3). */
  readonly authentication: ClientAuthenticationOptions;

  /**
   * What it may ask for: `'authorize'` for logins at `authorizationPath` and their tokens at
   * `tokenPath`, `'revoke'` for tokens of its own, `'introspect'` for any token of this service. An
   * application that receives tokens introspects; one that was given them revokes. Public clients
   * never introspect.
   */
  readonly may: readonly ('authorize' | 'revoke' | 'introspect')[];

  /**
   * Where its codes are sent, to the letter (RFC 9700 §4.1.3). `https://…`; for apps on a device also a
   * scheme with a dot, `com.example.app:/callback`, `http://127.0.0.1/…` or `http://[::1]/…` at any
   * port (RFC 8252 §7.3), and `http://localhost:…/…` at just that port. Only with `'authorize'`.
   * @defaultValue `[]`, which is enough for a client that only refreshes
   */
  readonly redirectUris?: readonly string[];

  /**
   * The part of `authorization.scopes` it may be granted. Only with `'authorize'`.
   * @defaultValue `authorization.scopes`
   */
  readonly scopes?: readonly string[];
}

export type ClientAuthenticationOptions =
  | {
      /**
       * None: an app on a device, or a page, where a secret would be known to everybody (RFC 6749
       * §2.1). Whatever it presents is bound to its `client_id`, and codes to PKCE.
       */
      readonly method: 'none';
    }
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
