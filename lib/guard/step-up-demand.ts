import { type Duration, durationToMs, formatDuration } from '../kernel/duration.js';
import type { StepUpChallenge } from '../kernel/errors.js';
import { isScopeToken } from '../tokens/claims.js';
import type { VerifiedToken } from '../tokens/verified-token.js';

/**
 * What a route demands of the last authentication of its user (RFC 9470): how long ago, how strong, by
 * what, and whether the user confirmed this very action. Judged by the claims of the token at each
 * request, because what was fresh a minute ago need not be now.
 */

/** What `@RequireStepUp` takes; at least one of them. */
export interface StepUpRequirement {
  /** How long ago the user may have authenticated at most: whole seconds, at least `'1s'`. */
  readonly maxAge?: Duration;
  /** The token's `acr` must be one of these, in this spelling. */
  readonly acr?: string | readonly string[];
  /** The token's `amr` must hold all of these (RFC 8176). */
  readonly amr?: string | readonly string[];
  /** What the user has to confirm for each single request: 1 to 128 characters, as of a scope. */
  readonly action?: string;
}

export interface StepUpDemand {
  readonly kind: 'stepUp';
  /** Seconds. */
  readonly maxAge: number | undefined;
  /** Any of them; none at all if that is not asked. */
  readonly acr: readonly string[];
  /** All of them. */
  readonly amr: readonly string[];
  readonly action: string | undefined;
}

const MEMBERS = ['maxAge', 'acr', 'amr', 'action'] satisfies (keyof StepUpRequirement)[];

const MAX_ACTION = 128;

/**
 * By how many seconds a token may come from the future, at most: as much as `tokens.leeway` can say.
 * Of one that was verified before the clock was set back nobody else asks this again.
 */
const MAX_SKEW = 60;

/** Whether a text can name an action: it goes into tokens, header fields and logs. */
export function isAction(value: unknown): value is string {
  return isScopeToken(value) && value.length <= MAX_ACTION;
}

/** @throws TypeError for what would demand less than it says */
export function readRequirement(requirement: StepUpRequirement): StepUpDemand {
  const given: unknown = requirement;
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw malformed(`takes an object with ${MEMBERS.join(', ')}`);
  }
  const unknown = Object.keys(given).find((name) => !(MEMBERS as readonly string[]).includes(name));
  if (unknown !== undefined) throw malformed(`has no other members than ${MEMBERS.join(', ')}`);
  const { maxAge, acr, amr, action } = requirement;
  if ([maxAge, acr, amr, action].every((member) => member === undefined)) {
    throw malformed(`takes at least one of ${MEMBERS.join(', ')}`);
  }
  if (action !== undefined && !isAction(action)) throw malformed('was given a malformed action');
  return Object.freeze({
    kind: 'stepUp',
    maxAge: maxAge === undefined ? undefined : readMaxAge(maxAge),
    acr: readNames('acr', acr),
    amr: readNames('amr', amr),
    action,
  });
}

/** Whether the token shows an authentication as it is demanded. What it does not say it does not show. */
export function isFresh(
  { maxAge, acr, amr }: StepUpDemand,
  { claims }: Pick<VerifiedToken, 'claims'>,
  now: number,
): boolean {
  return (
    (maxAge === undefined || isRecent(claims.auth_time, maxAge, now)) &&
    (acr.length === 0 || (claims.acr !== undefined && acr.includes(claims.acr))) &&
    amr.every((method) => claims.amr?.includes(method) === true)
  );
}

/** The authentication that satisfies all of these, so that nobody is asked twice for one request. */
export function reauthenticationFor(demands: readonly StepUpDemand[]): StepUpChallenge {
  const ages = demands.flatMap(({ maxAge }) => maxAge ?? []);
  const acrValues = acrForAll(demands);
  return {
    ...(ages.length === 0 ? {} : { maxAge: Math.min(...ages) }),
    ...(acrValues === undefined || acrValues.length === 0 ? {} : { acrValues }),
  };
}

/** The values of `acr` that every demand takes; `undefined` if none of them asks for one. */
export function acrForAll(demands: readonly StepUpDemand[]): readonly string[] | undefined {
  const [first, ...others] = demands.map(({ acr }) => acr).filter((acr) => acr.length > 0);
  return first?.filter((value) => others.every((acr) => acr.includes(value)));
}

/** Whether other demands, together, ask at least as much as this one. */
export function isAskedBy(demand: StepUpDemand, others: readonly StepUpDemand[]): boolean {
  const { maxAge, acr, amr, action } = demand;
  return (
    (maxAge === undefined || others.some((other) => (other.maxAge ?? Infinity) <= maxAge)) &&
    (acr.length === 0 ||
      others.some(
        (other) => other.acr.length > 0 && other.acr.every((value) => acr.includes(value)),
      )) &&
    amr.every((method) => others.some((other) => other.amr.includes(method))) &&
    (action === undefined || others.some((other) => other.action === action))
  );
}

/** For the route table, such as `stepUp(max 5m, acr gold, action delete_account)`. */
export function describeStepUp({ maxAge, acr, amr, action }: StepUpDemand): string {
  const parts = [
    ...(maxAge === undefined ? [] : [`max ${formatDuration(maxAge * 1000)}`]),
    ...(acr.length === 0 ? [] : [`acr ${acr.join(' | ')}`]),
    ...(amr.length === 0 ? [] : [`amr ${amr.join(' + ')}`]),
    ...(action === undefined ? [] : [`action ${action}`]),
  ];
  return `stepUp(${parts.join(', ')})`;
}

function isRecent(authTime: number | undefined, maxAge: number, now: number): boolean {
  if (authTime === undefined) return false;
  const age = now - authTime;
  // Written so that what is no number at all is refused.
  return age <= maxAge && age >= -MAX_SKEW;
}

function readMaxAge(maxAge: Duration): number {
  const seconds = (durationToMs(maxAge) ?? 0) / 1000;
  if (Number.isInteger(seconds) && seconds >= 1) return seconds;
  throw malformed("takes a maxAge in whole seconds, such as '5m'");
}

function readNames(
  name: 'acr' | 'amr',
  given: string | readonly string[] | undefined,
): readonly string[] {
  if (given === undefined) return Object.freeze([]);
  const names: readonly unknown[] = Array.isArray(given) ? [...(given as unknown[])] : [given];
  // An empty list would demand nothing and read as if it did.
  if (names.length === 0 || !names.every(isScopeToken))
    throw malformed(`was given a malformed ${name}`);
  return Object.freeze([...new Set(names)]);
}

function malformed(what: string): TypeError {
  return new TypeError(`@RequireStepUp ${what}`);
}
