import type { Duration } from '../kernel/duration.js';
import type { SigningAlgorithm } from '../keys/algorithms.js';
import type { PemSigningKey, PrivateJwk } from '../keys/key-material.js';
import type { KeyVault, Signer } from '../keys/signer.js';

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
   * @defaultValue `'30d'`; `'90d'` in the profile `legacy`. Longer leaves a stolen key useful for
   * longer.
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
   * @defaultValue `'1d'`; `'30d'` for `HS256` and in the profile `legacy`
   */
  readonly retainFor?: Duration;

  /**
   * How long verifiers may keep the JWKS (`Cache-Control: max-age`). The answer says less shortly
   * before the ring changes.
   * @defaultValue `'5m'`, or as much less as `publishAhead` leaves room for
   */
  readonly jwksMaxAge?: Duration;
}
