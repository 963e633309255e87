import type { PreparedToken, PrepareOptions } from '../tokens/token-signer.js';
import { csrfTokenOf, type RefreshToken, writeRefreshToken } from './refresh-token.js';
import type { Carrier, TokenPair } from './session.js';

/** How an access token of a session is made. */
export interface Preparing extends Pick<PrepareOptions, 'claimsFrom'> {
  readonly csrfToken: string | undefined;
  /** Milliseconds since the epoch: when the session ends unless it is used. */
  readonly endsAt: number;
}

/**
 * What a client gets for a login or a refresh.
 * @param lasts milliseconds until the refresh token expires unless it is used
 */
export function tokenPair(
  token: RefreshToken,
  carrier: Carrier,
  { signed }: PreparedToken,
  lasts: number,
): TokenPair {
  const { sub: subject, scope = '' } = signed.claims;
  return {
    accessToken: signed.token,
    tokenType: 'Bearer',
    expiresIn: signed.expiresIn,
    refreshToken: writeRefreshToken(token),
    refreshExpiresIn: Math.max(0, Math.floor(lasts / 1000)),
    scope,
    subject,
    sessionId: token.key.id,
    carrier,
    csrfToken: carrier === 'cookie' ? csrfTokenOf(token) : undefined,
  };
}
