import type { StandingClaims } from '../tokens/token-standing.js';
import type { RefreshToken } from './refresh-token.js';

/** A session of which part was decided before it starts: by an authorization code, or by another session. */
export interface PromisedSession {
  /** Its first refresh token, and so its `sid`. */
  readonly token: RefreshToken;
  /** Milliseconds since the epoch: when it was promised. What was revoked since then counts. */
  readonly startedAt: number;
  /** How its subject stood a moment ago, with nothing revoked since it was promised. */
  readonly standing: StandingClaims;
  /** The session whose place it takes; that one is ended afterwards, by who promised it. */
  readonly replaces: string;
  /** Uses the promise up, once there is nothing left to do but to store the session. */
  readonly claim: () => Promise<void>;
}
