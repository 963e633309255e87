import type { ExecutionContext, Type } from '@nestjs/common';

import { AccessError, StepUpRequired } from '../kernel/errors.js';
import type { OnStale } from '../kernel/outage.js';
import {
  type BoundKind,
  type Demand,
  demandsOfClass,
  demandsOfFunction,
  demandsOfMethod,
  type PolicyFunction,
  type PolicyInput,
} from './decorators.js';
import { isFresh, reauthenticationFor, type StepUpDemand } from './step-up-demand.js';

/**
 * What one route demands in the end: the demands of its class, of the classes that one extends, of
 * the method and of the methods it overrides, all together. Inheritance adds demands and never loses
 * one.
 */
export interface RoutePolicy {
  readonly isPublic: boolean;
  readonly demands: readonly TokenDemand[];
  /** Instead of what the configuration says; `undefined` when nothing is said at the route. */
  readonly onStale: OnStale | undefined;
  /** The `scope` attribute of a challenge (RFC 6750 §3), when scopes are demanded. */
  readonly requiredScope: string | undefined;
  /** Of each list, the token must be bound to at least one. */
  readonly bound: readonly (readonly BoundKind[])[];
  /** Whether a sender gets through who has to step up first. */
  readonly duringStepUp: boolean;
  /** What the user has to confirm, which is asked last of all: a confirmation is used up by it. */
  readonly actions: readonly string[];
}

/** What is asked of the token. */
type TokenDemand = Exclude<Demand, { kind: 'public' | 'onStale' | 'bound' | 'duringStepUp' }>;

/** What the claims alone decide. */
type ClaimDemand = Exclude<TokenDemand, { kind: 'policy' } | StepUpDemand>;

type Handler = ReturnType<ExecutionContext['getHandler']>;

/** Compiles each policy once per class and handler. */
export class RoutePolicies {
  readonly #byClass = new WeakMap<object, WeakMap<Handler, RoutePolicy>>();

  of(controller: Type, handler: Handler): RoutePolicy {
    let byHandler = this.#byClass.get(controller);
    if (byHandler === undefined) this.#byClass.set(controller, (byHandler = new WeakMap()));
    let policy = byHandler.get(handler);
    if (policy === undefined) byHandler.set(handler, (policy = compile(controller, handler)));
    return policy;
  }
}

/**
 * Answers whether a token meets a policy: at once, unless a policy function answers with a promise.
 * What `bound` and `actions` ask is not judged here.
 * @param now seconds since the epoch
 * @throws AccessError naming the demand that is not met
 * @throws StepUpRequired if it would be met by a fresh or stronger authentication
 */
export function authorize(
  policy: RoutePolicy,
  input: PolicyInput,
  now: number,
): true | Promise<true> {
  const functions: PolicyFunction[] = [];
  const stepUps: StepUpDemand[] = [];
  for (const demand of policy.demands) {
    if (demand.kind === 'policy') functions.push(demand.allows);
    else if (demand.kind === 'stepUp') stepUps.push(demand);
    else if (!isMet(demand, input)) {
      throw denied(demand.kind, demand.kind === 'scopes' ? policy.requiredScope : undefined);
    }
  }
  // After those: nobody is to step up for what is denied to them all the same.
  if (stepUps.some((demand) => !isFresh(demand, input.token, now))) {
    const detail = 'the last authentication is too long ago, or not of the kind that is demanded';
    throw new StepUpRequired(reauthenticationFor(stepUps), detail);
  }
  return functions.length === 0 ? true : askPolicies(functions, input);
}

/** Everything that stands at a route: its class and method, and whatever these extend or override. */
export function demandsOf(controller: Type, method: string): readonly Demand[] {
  const handler = (controller.prototype as Record<string, unknown>)[method];
  const demands = typeof handler === 'function' ? [...demandsOfFunction(handler)] : [];
  for (const prototype of prototypesOf(controller)) {
    demands.push(...demandsOfClass(prototype), ...demandsOfMethod(prototype, method));
  }
  return [...new Set(demands)].filter(
    (demand) => !isRelief(demand) || isOwn(controller, method, demand),
  );
}

/** The prototypes of a class and of the classes it extends, its own first. */
export function* prototypesOf(controller: Type): Generator<object> {
  let prototype = controller.prototype as object | null;
  while (prototype !== null && prototype !== Object.prototype) {
    yield prototype;
    prototype = Object.getPrototypeOf(prototype) as object | null;
  }
}

/** What takes away from the other demands instead of adding to them. */
export function isRelief({ kind }: Demand): boolean {
  return kind === 'public' || kind === 'duringStepUp';
}

/**
 * `@Public()` and `@DuringStepUp()` are not inherited: they count at the class that is routed and at
 * the method that runs, not at what these extend or override.
 */
function isOwn(controller: Type, method: string, demand: Demand): boolean {
  const owner = [...prototypesOf(controller)].find((prototype) => Object.hasOwn(prototype, method));
  return (
    demandsOfClass(controller.prototype as object).includes(demand) ||
    (owner !== undefined && demandsOfMethod(owner, method).includes(demand))
  );
}

function compile(controller: Type, handler: Handler): RoutePolicy {
  // One function under two names owes what stands at either, and is relieved only if both are.
  const byName = methodNames(controller, handler).map((name) => demandsOf(controller, name));
  const all = [...new Set(byName.flat())].filter((demand) => !isRelief(demand));
  const demands = all.filter(isOfToken);
  const scopes = demands.flatMap((demand) => (demand.kind === 'scopes' ? demand.all : []));
  const actions = demands.flatMap((demand) =>
    demand.kind === 'stepUp' ? (demand.action ?? []) : [],
  );
  const everyNameIs = (kind: Demand['kind']): boolean =>
    byName.every((found) => found.some((demand) => demand.kind === kind));
  return {
    // A contradiction stops the start; should one get here, the demand wins.
    isPublic: all.length === 0 && everyNameIs('public') && !everyNameIs('duringStepUp'),
    demands,
    onStale: strictest(all),
    requiredScope: scopes.length === 0 ? undefined : [...new Set(scopes)].join(' '),
    bound: all.flatMap((demand) => (demand.kind === 'bound' ? [demand.any] : [])),
    duringStepUp: everyNameIs('duringStepUp'),
    actions: [...new Set(actions)],
  };
}

function isOfToken(demand: Demand): demand is TokenDemand {
  return !isRelief(demand) && demand.kind !== 'onStale' && demand.kind !== 'bound';
}

function strictest(demands: readonly Demand[]): OnStale | undefined {
  const choices = demands.flatMap((demand) => (demand.kind === 'onStale' ? demand.choice : []));
  return choices.find((choice) => choice === 'reject') ?? choices[0];
}

/** @throws AccessError `ERR_ACCESS_UNKNOWN_HANDLER`: what cannot be found cannot be judged */
function methodNames(controller: Type, handler: Handler): readonly string[] {
  const names = new Set<string>();
  for (const prototype of prototypesOf(controller)) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
      if (value === handler) names.add(name);
    }
  }
  if (names.size > 0) return [...names];
  throw new AccessError('ERR_ACCESS_UNKNOWN_HANDLER', 'the handler is not a method of its class');
}

function isMet(demand: ClaimDemand, input: PolicyInput): boolean {
  const { scopes, roles, permissions } = input.token;
  switch (demand.kind) {
    case 'scopes':
      return demand.all.every((scope) => scopes.includes(scope));
    case 'anyScope':
      return demand.any.some((scope) => scopes.includes(scope));
    case 'roles':
      return demand.any.some((role) => roles.includes(role));
    case 'permissions':
      return demand.all.every((permission) => permissions.includes(permission));
  }
}

function askPolicies(
  functions: readonly PolicyFunction[],
  input: PolicyInput,
): true | Promise<true> {
  for (const [index, allows] of functions.entries()) {
    const answer = ask(allows, input);
    if (answer === true) continue;
    if (!isThenable(answer)) throw denied('policy');
    // A promise of our own: a foreign thenable may swallow what its callbacks throw.
    return Promise.resolve(answer).then(
      (late) => {
        if (late !== true) throw denied('policy');
        return askPolicies(functions.slice(index + 1), input);
      },
      (error: unknown) => {
        throw failed(error);
      },
    );
  }
  return true;
}

function ask(allows: PolicyFunction, input: PolicyInput): boolean | Promise<boolean> {
  try {
    return allows(input);
  } catch (error) {
    throw failed(error);
  }
}

function isThenable(value: unknown): value is Promise<boolean> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function';
}

function denied(demand: Demand['kind'], requiredScope?: string): AccessError {
  const detail = `the token does not meet the demand "${demand}"`;
  return new AccessError('ERR_ACCESS_DENIED', detail, { requiredScope });
}

function failed(cause: unknown): AccessError {
  return new AccessError('ERR_ACCESS_POLICY_FAILED', 'a @Policy function threw', { cause });
}
