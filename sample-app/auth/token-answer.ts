import type { TokenPair } from 'nest-jwt-hardening';

/** RFC 6749 §5.1. */
export interface TokenAnswer {
  readonly access_token: string;
  /** `DPoP` for a pair that is bound to the client's key (RFC 9449 §5). */
  readonly token_type: 'Bearer' | 'DPoP';
  /** Seconds. */
  readonly expires_in: number;
  readonly refresh_token: string;
  readonly scope: string;
}

/** What a client gets that keeps its tokens itself. */
export function tokenAnswer(pair: TokenPair): TokenAnswer {
  return {
    access_token: pair.accessToken,
    token_type: pair.tokenType,
    expires_in: pair.expiresIn,
    refresh_token: pair.refreshToken,
    scope: pair.scope,
  };
}
