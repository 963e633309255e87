import type { PreparedToken } from '../tokens/token-signer.js';
import { csrfTokenOf, type RefreshToken, writeRefreshToken } from './refresh-token.js';
import type { Carrier, TokenPair } from './session.js';

/** What goes with a pair besides its tokens. */
export interface PairTerms {
  readonly carrier: Carrier;
  readonly senderCookie: string | undefined;
  /** Milliseconds until the refresh token expires unless it is used. */
  readonly lasts: number;
}

/** What a client gets for a login or a refresh. */
export function tokenPair(
  token: RefreshToken,
  { signed }: PreparedToken,
  { carrier, senderCookie, lasts }: PairTerms,
): TokenPair {
  const { sub: subject, scope = '', cnf } = signed.claims;
  return {
    accessToken: signed.token,
    tokenType: cnf?.jkt === undefined ? 'Bearer' : 'DPoP',
    expiresIn: signed.expiresIn,
    refreshToken: writeRefreshToken(token),
    refreshExpiresIn: Math.max(0, Math.floor(lasts / 1000)),
    scope,
    subject,
    sessionId: token.key.id,
    carrier,
    csrfToken: carrier === 'cookie' ? csrfTokenOf(token) : undefined,
    senderCookie,
  };
}
