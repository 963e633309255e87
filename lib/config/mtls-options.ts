/**
 * Binds sessions and their access tokens to the TLS certificate of the client (RFC 8705): whoever
 * steals such a token cannot use it without the certificate's private key. `{}` for the defaults.
 */
export interface MtlsOptions {
  /**
   * Whose certificates count where clients connect to this service itself. `'authorized'`: those that
   * the TLS server validated, so it needs `requestCert: true` and the authorities in `ca`. `'any'`:
   * also self-signed and expired ones and those of other authorities, with `requestCert: true` and
   * `rejectUnauthorized: false`; they prove that the token's sender is the one it was issued to, and
   * nothing of who that is (RFC 8705 §2.2).
   * @defaultValue `'authorized'`
   */
  readonly certificates?: 'authorized' | 'any';

  /**
   * The header in which the proxies of `transport.trustedProxies` hand on the certificate that their
   * TLS client showed, as RFC 9440 has it: `Client-Cert: :MIIB…:`. They must validate it as wanted, and
   * remove the header from what clients send. From anybody else it is ignored.
   * @defaultValue `null`: certificates of clients behind a proxy are not known
   */
  readonly proxyHeader?: 'Client-Cert' | null;
}
