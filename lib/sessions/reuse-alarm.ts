import type { ReplayStore } from '../binding/replay-store.js';
import type { SecurityEvents } from '../events/security-events.js';
import type { Clock } from '../kernel/clock.js';
import type { SessionReuse } from './session.js';
import { readLabel, type SessionGrant } from './session-grant.js';
import type { RotationVerdict } from './session-store.js';

/** A verdict that tells of misuse: the first one, or any after it. */
export type MisuseVerdict = Extract<RotationVerdict, { readonly verdict: 'reused' | 'ended' }>;

/** Milliseconds: an hour longer than stores remember what misuse ended. */
const CLAIMED_FOR = 25 * 60 * 60 * 1_000;

/** @internal */
export interface ReuseAlarmSurroundings {
  /** Where it is noted that a session's alarm was raised; `null` for a storage that cannot. */
  readonly replays: ReplayStore | null;
  readonly clock: Clock;
  readonly events: SecurityEvents;
}

/**
 * Says that a refresh token is in other hands: to the log, and to whoever tells the owner. Once for each
 * session, by the first instance that hears of the misuse and lives to claim it: the store's first
 * verdict can be lost with its answer, or with who got it.
 */
export class ReuseAlarm {
  constructor(
    private readonly notify: ((reuse: SessionReuse) => unknown) | null,
    private readonly surroundings: ReuseAlarmSurroundings,
  ) {}

  /** Never rejects, and waits for no listener: what those do decides nothing. */
  async raise(verdict: MisuseVerdict, grant: SessionGrant | undefined): Promise<void> {
    if (!(await this.#isFirst(verdict))) return;
    const { events } = this.surroundings;
    const { session, misuse } = verdict;
    const sessionId = session.key.id;
    events.emit({ type: 'refresh.reused', at: this.#now(), sessionId, misuse });
    if (this.notify === null || grant === undefined) return;
    this.#tell(this.notify, verdict, grant).catch((error: unknown) => {
      const detail = error instanceof Error ? error.name : typeof error;
      events.emit({ type: 'session.unnotified', at: this.#now(), sessionId, detail });
    });
  }

  async #isFirst({ verdict, session }: MisuseVerdict): Promise<boolean> {
    const { replays, clock } = this.surroundings;
    const isFirstVerdict = verdict === 'reused';
    if (replays === null) return isFirstVerdict;
    const expiresAt = Math.ceil(clock.now()) + CLAIMED_FOR;
    try {
      return await replays.claimOnce({ key: `reuse:${session.key.id}`, expiresAt });
    } catch {
      // Twice rather than never; the verdicts that follow are many, and each of them tries again.
      return isFirstVerdict;
    }
  }

  async #tell(
    notify: (reuse: SessionReuse) => unknown,
    { session, misuse }: MisuseVerdict,
    { claims: { sub: subject, client_id: clientId } }: SessionGrant,
  ): Promise<void> {
    const sessionId = session.key.id;
    const { device, addressPrefix } = readLabel(session);
    const startedAt = new Date(session.createdAt);
    const reuse = { subject, sessionId, clientId, misuse, device, addressPrefix, startedAt };
    await notify(Object.freeze(reuse));
  }

  #now(): Date {
    return new Date(this.surroundings.clock.now());
  }
}
