/** Options of encrypted access tokens. */
export interface TokenEncryptionOptions {
  /**
   * Which access tokens of this service are accepted. `'encrypted'`: no other. `'both'`: signed ones
   * too, while a service moves to encryption: a key to encrypt with that joins a ring in use waits for
   * `keys.publishAhead`, and until then tokens are signed only. Tokens of other issuers are signed
   * either way.
   * @defaultValue `'encrypted'`
   */
  readonly accept?: 'encrypted' | 'both';

  /**
   * What tokens are encrypted with beside `keys.signingKey`: 32 random bytes in base64url, or a list
   * of such. The first encrypts, all decrypt: add one at the end, everywhere; then put it first; take
   * the old one out when the last token it encrypted has expired. None of `keys.encryptionKeys`.
   * @defaultValue none, and needed with `keys.signingKey`; else keys are made here, and rotate with
   * the others of the ring
   */
  readonly keys?: string | readonly [string, ...string[]];
}
