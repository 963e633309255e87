import type { SecurityEvents } from '../events/security-events.js';
import type { Clock } from '../kernel/clock.js';
import { readSessionId } from './refresh-token.js';
import { sessionOwner } from './session-owner.js';
import type { SessionStore } from './session-store.js';

/**
 * Ends sessions in the store when they, or their subjects, are revoked: what a revocation ends must not
 * come back by a refresh after the revocation is forgotten.
 */
export class SessionEnds {
  constructor(
    private readonly issuer: string,
    private readonly store: SessionStore,
    private readonly clock: Clock,
    private readonly events: SecurityEvents,
  ) {}

  /** @param sessionId one that others named is in no store of this package */
  async endSession(sessionId: string): Promise<void> {
    const key = readSessionId(sessionId);
    if (key !== undefined && (await this.store.end(key))) this.#tell([sessionId]);
  }

  /** @param except the `sid` of the session that goes on */
  async endSubject(subject: string, except: string | null): Promise<void> {
    const owner = sessionOwner({ issuer: this.issuer, subject });
    this.#tell(await this.store.endAll({ owner, except }));
  }

  #tell(ended: readonly string[]): void {
    const at = new Date(this.clock.now());
    for (const sessionId of ended) this.events.emit({ type: 'session.ended', at, sessionId });
  }
}
