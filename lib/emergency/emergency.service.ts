import { Injectable } from '@nestjs/common';

import type { SecurityEvents } from '../events/security-events.js';
import type { Clock } from '../kernel/clock.js';
import { withDeadline } from '../kernel/deadline.js';
import { KeyError, StoreError } from '../kernel/errors.js';
import type { KeyRingService } from '../keys/key-ring.service.js';
import type { RevocationService } from '../revocation/revocation.service.js';
import {
  type EmergencyStep,
  type Incident,
  type IncidentPlan,
  type IncidentReport,
  readIncident,
  type StepReport,
} from './incident.js';
import { countIncident, type CountingSources } from './incident-counts.js';
import { IncidentError } from './incident-error.js';

/** What an emergency is dealt with by. */
export interface EmergencySurroundings extends CountingSources {
  readonly keyRing: Pick<KeyRingService, 'compromise' | 'keys' | 'rotates'>;
  readonly revocations: Pick<RevocationService, 'revokeAll' | 'revokeKey' | 'revokeSubject'>;
  readonly clock: Clock;
  readonly events: SecurityEvents;
}

/** A step, and how to take it. */
interface Step {
  readonly name: EmergencyStep;
  readonly take: () => Promise<unknown>;
}

/** Milliseconds until a step counts as failed. It goes on by itself, and is harmless when repeated. */
const STEP_WITHIN = 30_000;

const CODE = /^ERR_[A-Z_]{1,60}$/;

/**
 * Deals with an incident in one call: everything that has to be revoked, withdrawn and ended, in the
 * order that leaves no gap, recorded as one event `incident.executed`.
 *
 * `badDeployment` and `everything` end no session in the store, where sessions can only be found by
 * their owner. Their tokens die; and so that they get no new ones, the revocation is kept for 399 days,
 * longer than any session, and `SessionService.refresh` asks for it.
 */
@Injectable()
export class EmergencyService {
  readonly #surroundings: EmergencySurroundings;

  /** @internal */
  constructor(surroundings: EmergencySurroundings) {
    this.#surroundings = surroundings;
  }

  /**
   * What `execute` would do, and how much it would touch. Changes nothing.
   * @throws TypeError for what is no incident
   * @throws KeyError `ERR_KEY_UNKNOWN` if the key ring has no such key
   */
  async plan(incident: Incident): Promise<IncidentPlan> {
    const read = this.#read(incident);
    if (read.kind === 'leakedKey' && !this.#hasKey(read.kid)) {
      throw new KeyError('ERR_KEY_UNKNOWN', 'The key ring has no key with this kid.');
    }
    const counts = await countIncident(read, this.#surroundings);
    const steps = this.#stepsFor(read).map(({ name }) => name);
    return Object.freeze({ incident: read, counts, steps });
  }

  /**
   * Deals with it. Every step is tried, also after one that failed; executing the same incident again
   * is harmless, and closes what is open. What it revoked is refused here once this has answered, and
   * on every other instance as `RevocationService` says.
   * @throws TypeError for what is no incident
   * @throws IncidentError `ERR_INCIDENT_INCOMPLETE` if a step failed: execute it again
   */
  async execute(incident: Incident): Promise<IncidentReport> {
    const read = this.#read(incident);
    // Beside the steps: what only informs does not delay what protects.
    const counting = countIncident(read, this.#surroundings);
    const steps: StepReport[] = [];
    const causes: unknown[] = [];
    for (const { name: step, take } of this.#stepsFor(read)) {
      try {
        await withDeadline(take(), STEP_WITHIN, tooLate);
        steps.push({ step, outcome: 'done', code: null });
      } catch (cause) {
        causes.push(cause);
        steps.push({ step, outcome: 'failed', code: codeOf(cause) });
      }
    }
    const report = Object.freeze({ incident: read, counts: await counting, steps });
    this.#record(report);
    if (causes.length > 0) throw new IncidentError(steps, report.counts, { cause: causes[0] });
    return report;
  }

  #read(incident: Incident): Incident {
    return readIncident(incident, this.#surroundings.clock.now());
  }

  #stepsFor(incident: Incident): readonly Step[] {
    const { revocations } = this.#surroundings;
    switch (incident.kind) {
      case 'leakedKey':
        return this.#stepsForKey(incident.kid);
      case 'stolenAccount':
        return [{ name: 'revokeSubject', take: () => revocations.revokeSubject(incident.sub) }];
      case 'badDeployment': {
        const { before } = incident;
        return [{ name: 'revokeBefore', take: () => revocations.revokeAll({ before }) }];
      }
      case 'everything':
        return [{ name: 'revokeEverything', take: () => revocations.revokeAll() }];
    }
  }

  #stepsForKey(kid: string): readonly Step[] {
    const { keyRing, revocations } = this.#surroundings;
    if (keyRing.rotates) return [{ name: 'compromiseKey', take: () => keyRing.compromise(kid) }];
    // It stays in the JWKS, where other services read it, until the operator configures another.
    const expectReplaced = async (): Promise<void> => {
      if (!this.#hasKey(kid)) return;
      throw new KeyError('ERR_KEY_STATIC', 'The key is configured: configure another.');
    };
    return [
      { name: 'revokeKey', take: () => revocations.revokeKey(kid) },
      { name: 'replaceConfiguredKey', take: expectReplaced },
    ];
  }

  #hasKey(kid: string): boolean {
    return this.#surroundings.keyRing.keys().some((key) => key.kid === kid);
  }

  #record({ incident: { kind, reference }, counts, steps }: IncidentReport): void {
    const { clock, events } = this.#surroundings;
    const isDone = steps.every(({ outcome }) => outcome === 'done');
    events.emit({
      type: 'incident.executed',
      at: new Date(clock.now()),
      kind,
      ...(reference === undefined ? {} : { reference }),
      outcome: isDone ? 'done' : 'incomplete',
      counts,
      steps: steps.map(({ step, outcome, code }) => `${step}:${code ?? outcome}`),
    });
  }
}

function tooLate(): StoreError {
  return new StoreError('ERR_STORE_UNAVAILABLE', 'The step was not done in time.');
}

/** Only a code, and only one of that form: messages of others can hold anything. */
function codeOf(cause: unknown): string {
  const code: unknown = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  return typeof code === 'string' && CODE.test(code) ? code : 'ERR_UNEXPECTED';
}
