import type { Duration } from '../kernel/duration.js';
import type { EntitlementsOf } from '../sessions/entitlements.js';
import type { SessionReuse } from '../sessions/session.js';

/** Options of sessions. */
export interface SessionsOptions {
  /**
   * How long a session may go unused, from `'1m'` to `absoluteFor`.
   * @defaultValue `'14d'`, or `absoluteFor` if that is shorter. Longer leaves a stolen refresh token
   * useful for longer where nobody uses the session any more.
   */
  readonly idleFor?: Duration;

  /**
   * How long a session lasts however often it is used, up to `'395d'`; then the user logs in again.
   * @defaultValue `'90d'`
   */
  readonly absoluteFor?: Duration;

  /**
   * How long after its use a refresh token may come once more and gets the same answer: two tabs that
   * refresh at once, or an answer that was lost on its way. At most `'1m'`. `'0s'` takes each second
   * use for theft.
   * @defaultValue `'10s'`. A thief who is as quick as that gets the same tokens as the owner, until
   * the next refresh of either tells them apart.
   */
  readonly reuseGrace?: Duration;

  /**
   * How many sessions a subject can have at one time, from 1 to 1000. The oldest ends when one more
   * begins, with its access tokens.
   * @defaultValue `100`. Fewer lets who can log in sooner push out the sessions of who else can.
   */
  readonly perSubject?: number;

  /**
   * What the subject may do now, asked with every refresh; `null` ends the session. Scope that the
   * session did not start with is not added. It has 5 s; when it fails the answer is 503 and nothing is
   * used up.
   * @defaultValue none: what the session started with
   */
  readonly entitlements?: EntitlementsOf;

  /**
   * Tells the owner that a refresh token of theirs is in other hands; the session is over by then, or
   * in the same instant. Called once for each session. What it throws changes nothing, and is an event
   * `session.unnotified`.
   * @defaultValue none
   */
  readonly onReuse?: (reuse: SessionReuse) => unknown;
}
