import { isKid } from '../keys/key-material.js';
import { isIdentifier } from '../tokens/claims.js';

/**
 * What can go wrong in one piece, as an operator says it, and what is said back. Incidents come from
 * consoles and admin routes, so they are read as strictly as any other input.
 */

/** What happened. */
export type Incident = IncidentReference &
  (
    | {
        /** A signing key may be in other hands. */
        readonly kind: 'leakedKey';
        readonly kid: string;
      }
    | {
        /** Somebody else acts as this user of ours. */
        readonly kind: 'stolenAccount';
        readonly sub: string;
      }
    | {
        /** What was issued until an instant of the past must not count, such as by a faulty release. */
        readonly kind: 'badDeployment';
        readonly before: Date;
      }
    | {
        /** Nothing that was issued until now is to be trusted. */
        readonly kind: 'everything';
      }
  );

export type IncidentKind = Incident['kind'];

interface IncidentReference {
  /**
   * The operator's own name for it, such as a ticket: 1 to 64 of `[A-Za-z0-9._-]`. Stands in the event.
   * @defaultValue none
   */
  readonly reference?: string;
}

/** What one incident is made of, step by step. */
export type EmergencyStep =
  /** The key leaves the ring and the JWKS, its successor signs. */
  | 'compromiseKey'
  /** The tokens of a configured key are refused. */
  | 'revokeKey'
  /** Only the operator can: configure another `keys.signingKey`. Stays open until that was done. */
  | 'replaceConfiguredKey'
  /** The tokens of the subject that were issued until now are refused, and its sessions end. */
  | 'revokeSubject'
  /** All tokens issued before the instant are refused. */
  | 'revokeBefore'
  /** All tokens issued until now are refused. */
  | 'revokeEverything';

/**
 * How much an incident touches; `null` for what nothing counts, or what counts it did not answer within
 * 5 s. Figures for an operator's decision: they may be off by what changes meanwhile.
 */
export interface IncidentCounts {
  /** Live sessions: of the subject, or all where they cannot be told apart. */
  readonly sessions: number | null;
  readonly subjects: number | null;
  /** Live tokens that this instance has seen. */
  readonly tokens: number | null;
  /** Long-lived connections of this instance. */
  readonly connections: number | null;
}

/** What `execute` would do. */
export interface IncidentPlan {
  readonly incident: Incident;
  readonly counts: IncidentCounts;
  /** In this order. */
  readonly steps: readonly EmergencyStep[];
}

/** How a step went. */
export interface StepReport {
  readonly step: EmergencyStep;
  readonly outcome: 'done' | 'failed';
  /** Why it failed: an error code of this package, or `ERR_UNEXPECTED`. */
  readonly code: string | null;
}

/** What `execute` did. */
export interface IncidentReport {
  readonly incident: Incident;
  readonly counts: IncidentCounts;
  readonly steps: readonly StepReport[];
}

const REFERENCE = /^[A-Za-z0-9._-]{1,64}$/;

/** What names each kind, beside `kind` and `reference`. */
const MEMBERS: Readonly<Record<IncidentKind, readonly string[]>> = {
  leakedKey: ['kid'],
  stolenAccount: ['sub'],
  badDeployment: ['before'],
  everything: [],
};

/**
 * A copy of an incident that is one: what was asked for cannot change while it is done.
 * @param now milliseconds
 * @throws TypeError naming the member that is wrong, never its value
 */
export function readIncident(asked: unknown, now: number): Incident {
  if (typeof asked !== 'object' || asked === null) throw malformed('is an object with a kind');
  const members = new Map<string, unknown>(Object.entries(asked));
  const kind = members.get('kind');
  if (!isKind(kind)) throw malformed(`has a kind: ${Object.keys(MEMBERS).join(', ')}`);
  // A misspelled member is an order that would not be carried out.
  const known = ['kind', 'reference', ...MEMBERS[kind]];
  if ([...members.keys()].some((name) => !known.includes(name))) {
    throw malformed(`of kind ${kind} has ${known.join(', ')} and nothing else`);
  }
  const named = readReference(members.get('reference'));
  switch (kind) {
    case 'leakedKey':
      return Object.freeze({ kind, kid: readKid(members.get('kid')), ...named });
    case 'stolenAccount':
      return Object.freeze({ kind, sub: readSubject(members.get('sub')), ...named });
    case 'badDeployment':
      return Object.freeze({ kind, before: readBefore(members.get('before'), now), ...named });
    case 'everything':
      return Object.freeze({ kind, ...named });
  }
}

function isKind(kind: unknown): kind is IncidentKind {
  return typeof kind === 'string' && Object.hasOwn(MEMBERS, kind);
}

function readReference(reference: unknown): IncidentReference {
  if (reference === undefined) return {};
  if (typeof reference === 'string' && REFERENCE.test(reference)) return { reference };
  throw malformed('has a reference of 1 to 64 characters of [A-Za-z0-9._-], or none');
}

function readKid(kid: unknown): string {
  if (isKid(kid)) return kid;
  throw malformed('of kind leakedKey has a kid of 1 to 128 characters of [A-Za-z0-9._:-]');
}

function readSubject(sub: unknown): string {
  if (isIdentifier(sub)) return sub;
  throw malformed('of kind stolenAccount has a sub of 1 to 255 printable characters');
}

/** An instant to come would refuse what is not issued yet, good tokens and all. */
function readBefore(before: unknown, now: number): Date {
  const instant = before instanceof Date ? before.getTime() : NaN;
  if (instant >= 0 && instant <= now) return new Date(instant);
  throw malformed('of kind badDeployment has a before that is a Date of the past');
}

function malformed(rule: string): TypeError {
  return new TypeError(`An incident ${rule}.`);
}
