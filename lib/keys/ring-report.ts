import type { SecurityEvents } from '../events/security-events.js';
import type { TakenStep } from './ring-keeper.js';

/** Says what a step did to each key, at the instant all instances agree on. */
export function reportStep({ ring, changes, takenAt }: TakenStep, events: SecurityEvents): void {
  for (const { kid, algorithm, phase } of changes) {
    const at = new Date(takenAt);
    const key = ring.keys.find((candidate) => candidate.kid === kid);
    if (key?.phase === 'published') {
      const signsFrom = new Date(key.signsFrom);
      events.emit({ type: 'key.published', at, kid, algorithm, signsFrom });
    } else if (key?.phase === 'verifying') {
      const retiresAt = new Date(key.retiresAt);
      events.emit({ type: 'key.verifying', at, kid, algorithm, retiresAt });
    } else if (phase === 'compromised') {
      events.emit({ type: 'key.compromised', at, kid, algorithm });
    } else {
      const type = phase === 'signing' ? 'key.signing' : 'key.retired';
      events.emit({ type, at, kid, algorithm });
    }
  }
}
