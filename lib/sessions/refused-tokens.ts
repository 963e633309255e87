import { SessionError, StoreError } from '../kernel/errors.js';
import type { RevocationService } from '../revocation/revocation.service.js';
import { isSessionRevoked } from './known-revocations.js';
import { type RefreshToken, secretDigest, successorOf } from './refresh-token.js';
import { type MisuseVerdict, ReuseAlarm, type ReuseAlarmSurroundings } from './reuse-alarm.js';
import type { SessionReuse } from './session.js';
import { openGrant, type SessionGrant } from './session-grant.js';
import { refusalOf } from './session-refusal.js';
import type { SessionSeals } from './session-seals.js';
import type {
  FoundSession,
  PresentedToken,
  RotationVerdict,
  SessionRecord,
  SessionStore,
} from './session-store.js';

interface RefusedTokensConfig {
  /** This service's own issuer. */
  readonly issuer: string;
  readonly seals: SessionSeals;
  readonly onReuse: ((reuse: SessionReuse) => unknown) | null;
}

interface RefusedTokensSurroundings extends ReuseAlarmSurroundings {
  readonly revocations: Pick<RevocationService, 'revokeSession' | 'status'>;
}

/** What becomes of refresh tokens that are not taken, of their sessions, and of who asks with them. */
export class RefusedTokens {
  readonly #config: RefusedTokensConfig;
  readonly #surroundings: RefusedTokensSurroundings;
  readonly #alarm: ReuseAlarm;

  constructor(config: RefusedTokensConfig, surroundings: RefusedTokensSurroundings) {
    this.#config = config;
    this.#surroundings = surroundings;
    this.#alarm = new ReuseAlarm(config.onReuse, surroundings);
  }

  /** Says that a refresh was refused. */
  rejected(error: SessionError, sessionId?: string): SessionError {
    const { code, detail } = error;
    const { clock, events } = this.#surroundings;
    const ended = sessionId === undefined ? {} : { sessionId };
    const at = new Date(clock.now());
    events.emit({ type: 'refresh.rejected', at, ...ended, code, detail });
    return error;
  }

  /** Says so when a step refuses. */
  async checked<T>(step: () => T | Promise<T>): Promise<T> {
    try {
      return await step();
    } catch (error) {
      throw error instanceof SessionError ? this.rejected(error) : error;
    }
  }

  /** What speaks against a session ends it. */
  async judged<T>(sessionId: string, judge: () => Promise<T>): Promise<T> {
    try {
      return await judge();
    } catch (error) {
      const refusal = refusalOf(error);
      if (refusal === undefined) throw error;
      await this.#end(sessionId);
      throw this.rejected(refusal, sessionId);
    }
  }

  /**
   * Refuses a token that cannot be good. Nobody is asked, nothing is prepared for it: what could fail
   * there would save it from its verdict.
   * @param found `null` where there is no such session, or none any more
   */
  async refuseAtOnce(
    store: SessionStore,
    token: RefreshToken,
    {
      presented,
      found,
    }: { readonly presented: PresentedToken; readonly found: FoundSession | null },
  ): Promise<never> {
    const next = { secret: secretDigest(successorOf(token)), sealed: '', data: null };
    let verdict: RotationVerdict;
    try {
      verdict = await store.rotate({ presented, next, graceFor: 0, askedAt: null });
    } catch (error) {
      if (found !== null) await this.#endUnanswered(token, found.session);
      throw error;
    }
    // It was not there a moment ago, and came back by whatever miracle: nobody got its token.
    if (verdict.verdict === 'rotated' || verdict.verdict === 'repeated') {
      await this.#end(token.key.id);
    }
    return this.refuse(token, verdict, undefined);
  }

  /** @param grant what is known of the session; else what the verdict brings along is opened */
  async refuse(
    token: RefreshToken,
    verdict: RotationVerdict,
    grant: SessionGrant | undefined,
  ): Promise<never> {
    const { id: sessionId } = token.key;
    switch (verdict.verdict) {
      case 'reused': {
        await this.#endAndTell(token, verdict, grant);
        throw new SessionError('ERR_SESSION_REUSED', `it was used before: ${verdict.misuse}`);
      }
      case 'ended': {
        await this.#endAndTell(token, verdict, grant);
        const detail = 'its session was ended by misuse';
        throw this.rejected(new SessionError('ERR_SESSION_ENDED', detail), sessionId);
      }
      case 'late':
        throw new StoreError('ERR_STORE_UNAVAILABLE', 'The refresh took too long to be judged.');
      default:
        throw this.rejected(new SessionError('ERR_SESSION_UNKNOWN', 'there is no such session'));
    }
  }

  /**
   * Who noticed the misuse first may have died before the access tokens did, or before it was told. Said
   * and done no more than that, or whoever has a dead token could fill the logs with it.
   */
  async #endAndTell(
    token: RefreshToken,
    verdict: MisuseVerdict,
    grant: SessionGrant | undefined,
  ): Promise<void> {
    const { issuer } = this.#config;
    const { revocations } = this.#surroundings;
    const { session } = verdict;
    const isEnded =
      verdict.verdict === 'ended' && isSessionRevoked(revocations, issuer, session.key.id);
    // Neither waits for the other, and neither is left out where the other fails.
    const told = this.#alarm.raise(verdict, grant ?? this.#open(token, session));
    try {
      if (!isEnded) await this.#end(session.key.id);
    } finally {
      await told;
    }
  }

  /**
   * The misuse is certain, whether the store has noted it or not. A session that is ended here is none
   * that it could still be noted of, so it is told here too; which kind it was is not known.
   */
  async #endUnanswered(token: RefreshToken, session: SessionRecord): Promise<void> {
    const misuse = { verdict: 'ended', session, misuse: 'unknown' } as const;
    const told = this.#alarm.raise(misuse, this.#open(token, session));
    // If it cannot be ended either, it ends by the next use of this token.
    await this.#end(session.key.id).catch(() => {});
    await told;
  }

  /** Nothing that somebody wrote there keeps the alarm from being raised. */
  #open(token: RefreshToken, session: SessionRecord): SessionGrant | undefined {
    try {
      return openGrant(this.#config.seals, token, session);
    } catch {
      return undefined;
    }
  }

  async #end(sessionId: string): Promise<void> {
    await this.#surroundings.revocations.revokeSession(sessionId);
  }
}
