import type { Proof } from '../binding/confirmation.js';
import type { DpopOptions } from './dpop-options.js';
import type { AddressBindingOptions, FingerprintOptions } from './fingerprint-options.js';
import type { MtlsOptions } from './mtls-options.js';

/**
 * How a token is tied to the one it was issued to, so that it is worth nothing to a thief. Sessions are
 * bound by what `SenderProofs.prove` found; what binds a token is checked on every request, and a token
 * that is bound by what is not configured here is refused.
 */
export interface BindingOptions {
  /**
   * Takes DPoP proofs (RFC 9449): the sender holds a key. `{}` for the defaults.
   * @defaultValue `null`: not offered; `{}` in the profiles `highSecurity` and `native`
   */
  readonly dpop?: DpopOptions | null;

  /**
   * Takes client certificates (RFC 8705). `{}` for the defaults.
   * @defaultValue `null`: not looked at
   */
  readonly mtls?: MtlsOptions | null;

  /**
   * Compares what senders look like. `{}` for the defaults.
   * @defaultValue `null`: not looked at
   */
  readonly fingerprint?: FingerprintOptions | null;

  /**
   * Compares the addresses of senders, beside the fingerprint. `{}` for the defaults.
   * @defaultValue `null`: not looked at
   */
  readonly address?: AddressBindingOptions | null;

  /**
   * Every session and every token has to be bound by at least one of these: `'dpop'`, `'mtls'`,
   * `'cookie'`, `'fingerprint'`. The same for tokens of other issuers.
   * @defaultValue `[]`: what is bound is checked, and nothing has to be. `['dpop']` in the profiles
   * `highSecurity`, with `'mtls'` where `mtls` is set, and `native`. Never in the profile `legacy`.
   */
  readonly required?: readonly Proof[];

  /**
   * What nonces, fingerprints and sender cookies are made with: 32 random bytes in base64url, or a list
   * of such. The first makes, all check, so that one can follow another; when one is taken away, whose
   * tokens it made has to log in again.
   * @defaultValue derived from `keys.encryptionKeys`; without those, random bytes for a storage in this
   * process. Needed with any other storage if one of those three is used.
   */
  readonly secrets?: string | readonly [string, ...string[]];
}
