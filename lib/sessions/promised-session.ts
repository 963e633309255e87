import type { StandingClaims } from '../tokens/token-standing.js';
import type { RefreshToken } from './refresh-token.js';

/** A session that was promised before it starts, as an authorization code promises one. */
export interface PromisedSession {
  /** Its first refresh token, and so its `sid`. */
  readonly token: RefreshToken;
  /** Milliseconds since the epoch: when it was promised. What was revoked since then counts. */
  readonly startedAt: number;
  /** How its subject stood a moment ago, with nothing revoked since it was promised. */
  readonly standing: StandingClaims;
  /** Uses the promise up, once there is nothing left to do but to store the session. */
  readonly claim: () => Promise<void>;
}
