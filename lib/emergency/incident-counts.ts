import { withDeadline } from '../kernel/deadline.js';
import { StoreError } from '../kernel/errors.js';
import { sessionOwner } from '../sessions/session-owner.js';
import type { SessionStore } from '../sessions/session-store.js';
import type { Incident, IncidentCounts } from './incident.js';

/** Which tokens, or connections, are counted; without any member, all. */
export interface LiveFilter {
  readonly issuer?: string;
  readonly kid?: string;
  readonly subject?: string;
  readonly issuedBefore?: Date;
}

/** What can be counted. */
export interface CountingSources {
  /** This service's own. */
  readonly issuer: string;
  /** `null` if there are none. */
  readonly sessions: SessionStore | null;
  /** Live tokens that this instance has seen; `null` if it keeps none of them. */
  readonly countTokens: (filter: LiveFilter) => number | null;
  /** Long-lived connections of this instance; `null` if nothing watches them. */
  readonly countConnections: (filter: LiveFilter) => number | null;
}

/** Milliseconds for counting: an operator in an emergency does not wait for figures. */
const COUNT_WITHIN = 5_000;

/** How much an incident touches, as far as that can be said. Never rejects. */
export async function countIncident(
  incident: Incident,
  sources: CountingSources,
): Promise<IncidentCounts> {
  const filter = filterOf(incident, sources.issuer);
  // At once, before anything that the incident ends is gone.
  const tokens = attempt(() => sources.countTokens(filter));
  const connections = attempt(() => sources.countConnections(filter));
  const { sessions, owners } = await countSessions(incident, sources);
  const subjects = incident.kind === 'stolenAccount' ? 1 : owners;
  return Object.freeze({ sessions, subjects, tokens, connections });
}

interface SessionCounts {
  readonly sessions: number | null;
  readonly owners: number | null;
}

const UNCOUNTED: SessionCounts = { sessions: null, owners: null };

async function countSessions(
  incident: Incident,
  { sessions, issuer }: CountingSources,
): Promise<SessionCounts> {
  if (sessions === null) return UNCOUNTED;
  const counting = async (): Promise<SessionCounts> => {
    if (incident.kind !== 'stolenAccount') return sessions.count();
    const own = await sessions.list(sessionOwner({ issuer, subject: incident.sub }));
    return { sessions: own.length, owners: 1 };
  };
  const late = (): StoreError =>
    new StoreError('ERR_STORE_UNAVAILABLE', 'The sessions were not counted in time.');
  // For information: a store that fails here fails the step that needs it, and is reported there.
  const counts = await withDeadline(counting(), COUNT_WITHIN, late).catch(() => UNCOUNTED);
  return { sessions: figure(counts.sessions), owners: figure(counts.owners) };
}

function filterOf(incident: Incident, issuer: string): LiveFilter {
  switch (incident.kind) {
    case 'leakedKey':
      return { issuer, kid: incident.kid };
    case 'stolenAccount':
      return { issuer, subject: incident.sub };
    case 'badDeployment':
      return { issuedBefore: incident.before };
    case 'everything':
      return {};
  }
}

function attempt(count: () => number | null): number | null {
  try {
    return figure(count());
  } catch {
    // What only informs must not stop what protects.
    return null;
  }
}

function figure(count: number | null): number | null {
  return Number.isSafeInteger(count) && Number(count) >= 0 ? count : null;
}
