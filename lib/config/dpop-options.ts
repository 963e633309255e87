import type { Duration } from '../kernel/duration.js';
import type { SigningAlgorithm } from '../keys/algorithms.js';

/** Options of DPoP (RFC 9449). */
export interface DpopOptions {
  /**
   * Where clients reach this service, which is what they sign as `htu`: https URLs, or http ones of this
   * machine, without query. With the path that a proxy takes off before it passes requests on, such as
   * `'https://example.com/api'`. Headers such as `Host` are never asked.
   * @defaultValue the origins of `issuer` and of every `audience`, where those are such URLs
   */
  readonly publicUrls?: readonly [string, ...string[]];

  /**
   * What proofs may be signed with; never a shared secret. Clients choose their keys, so each more is
   * one more that anybody can make this service verify.
   * @defaultValue `['ES256', 'Ed25519', 'EdDSA', 'PS256', 'RS256']`: what browsers and the key stores
   * of phones and PCs have, and cheap to verify; P-384 and P-521 take 7 and 14 times as long as P-256.
   */
  readonly algorithms?: readonly [SigningAlgorithm, ...SigningAlgorithm[]];

  /**
   * How long after its `iat` a proof is taken, beside `tokens.leeway`. `'1s'` to `'5m'`.
   * @defaultValue `'60s'`. Longer has more proofs remembered, and lets one that was held back on its
   * way be sent later.
   */
  readonly proofFor?: Duration;

  /**
   * Asks that proofs repeat a nonce of this service, and how long each is good: `'10s'` to `'1h'`. Then
   * nobody can make proofs ahead of time with a key they had for a moment. `null` asks for none, which
   * saves each client one request that is answered with the nonce.
   * @defaultValue `{ validFor: '5m' }`
   */
  readonly nonce?: { readonly validFor?: Duration } | null;

  /**
   * Proofs one key may make a minute, over all instances; more are answered with 429. From 1 to
   * 1000000.
   * @defaultValue `600`
   */
  readonly perMinute?: number;
}
