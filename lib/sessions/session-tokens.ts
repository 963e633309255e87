import { csrfDigest } from '../binding/csrf-digest.js';
import type { Clock } from '../kernel/clock.js';
import { SessionError } from '../kernel/errors.js';
import type { TokenClaims } from '../tokens/claims.js';
import type { PreparedToken, PrepareOptions } from '../tokens/token-signer.js';
import type { StandingClaims } from '../tokens/token-standing.js';
import type { TokenService } from '../tokens/token.service.js';
import { csrfTokenOf, type RefreshToken } from './refresh-token.js';
import type { Carrier, SessionBinding, TokenPair } from './session.js';
import type { SessionGrant } from './session-grant.js';
import { expectCookieRoom } from './session-input.js';
import type { GrantedSender, SessionSenders } from './session-sender.js';
import { tokenPair } from './token-pair.js';

/** What an access token of a session is made of, besides its claims. */
export interface TokenMaking extends Pick<PrepareOptions, 'claimsFrom'> {
  readonly standing: StandingClaims;
  /** The refresh token it goes with. */
  readonly token: RefreshToken;
  readonly carrier: Carrier;
  readonly binding: SessionBinding | undefined;
  readonly sender: GrantedSender;
  /** Milliseconds since the epoch: when the session ends unless it is used. */
  readonly endsAt: number;
}

/** Makes the access tokens of sessions: none outlives its session, and each says who may send it. */
export class SessionTokens {
  constructor(
    /** In seconds. */
    private readonly accessTtl: number,
    private readonly senders: SessionSenders,
    private readonly tokens: Pick<TokenService, 'prepare'>,
    private readonly clock: Clock,
  ) {}

  /**
   * @throws SessionError `ERR_SESSION_UNKNOWN` if the session ends this very moment
   * @throws ClaimError as `TokenService.sign`
   */
  async prepare(claims: TokenClaims, making: TokenMaking): Promise<PreparedToken> {
    const { token, carrier, binding, sender, endsAt, claimsFrom = 'caller' } = making;
    const remaining = Math.floor((endsAt - this.clock.now()) / 1000);
    if (remaining < 1) throw new SessionError('ERR_SESSION_UNKNOWN', 'it ends now');
    const own = {
      ...making.standing,
      ...this.senders.claimsOf(binding, sender, token),
      ...(carrier === 'cookie' ? { csrf: csrfDigest(csrfTokenOf(token)) } : {}),
    };
    const ttl = remaining < this.accessTtl ? { ttl: `${remaining}s` as const } : {};
    const prepared = await this.tokens.prepare(claims, own, { ...ttl, claimsFrom });
    if (carrier === 'cookie') expectCookieRoom(prepared.signed.token);
    return prepared;
  }

  /** @param lasts milliseconds until the refresh token expires unless it is used */
  pair(
    token: RefreshToken,
    { carrier, binding }: SessionGrant,
    prepared: PreparedToken,
    lasts: number,
  ): TokenPair {
    const senderCookie = this.senders.cookieOf(binding, token);
    return tokenPair(token, prepared, { carrier, senderCookie, lasts });
  }
}
