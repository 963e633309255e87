import type { SecurityEvents } from '../events/security-events.js';
import type { Clock } from '../kernel/clock.js';
import type { SessionReuse } from './session.js';
import { readLabel, type SessionGrant } from './session-grant.js';
import type { Misuse, SessionRecord } from './session-store.js';

/** Says that a refresh token is in other hands: to the log, and to whoever tells the owner. */
export class ReuseAlarm {
  constructor(
    private readonly notify: ((reuse: SessionReuse) => unknown) | null,
    private readonly clock: Clock,
    private readonly events: SecurityEvents,
  ) {}

  /** Never throws, and waits for nobody: what listeners do decides nothing. */
  raise(
    { session, misuse }: { readonly session: SessionRecord; readonly misuse: Misuse },
    grant: SessionGrant | undefined,
  ): void {
    const sessionId = session.key.id;
    this.events.emit({ type: 'refresh.reused', at: this.#now(), sessionId, misuse });
    if (this.notify === null || grant === undefined) return;
    const { sub: subject, client_id: clientId } = grant.claims;
    const { device, addressPrefix } = readLabel(session);
    const startedAt = new Date(session.createdAt);
    const reuse = { subject, sessionId, clientId, misuse, device, addressPrefix, startedAt };
    this.#tell(this.notify, Object.freeze(reuse)).catch((error: unknown) => {
      const detail = error instanceof Error ? error.name : typeof error;
      this.events.emit({ type: 'session.unnotified', at: this.#now(), sessionId, detail });
    });
  }

  async #tell(notify: (reuse: SessionReuse) => unknown, reuse: SessionReuse): Promise<void> {
    await notify(reuse);
  }

  #now(): Date {
    return new Date(this.clock.now());
  }
}
