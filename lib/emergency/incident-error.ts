import type { IncidentErrorCode } from '../kernel/errors.js';
import type { IncidentCounts, StepReport } from './incident.js';

/** An incident was not dealt with to its end; names the steps that are open, never who it is about. */
export class IncidentError extends Error {
  readonly code: IncidentErrorCode = 'ERR_INCIDENT_INCOMPLETE';

  constructor(
    readonly steps: readonly StepReport[],
    readonly counts: IncidentCounts,
    options?: ErrorOptions,
  ) {
    const open = steps.filter(({ outcome }) => outcome === 'failed');
    const names = open.map(({ step, code }) => `${step} (${code})`).join(', ');
    super(`The incident is not over: ${names} failed. Run it again.`, options);
    this.name = new.target.name;
  }
}
