import {
  createParamDecorator,
  type ExecutionContext,
  type PipeTransform,
  type Type,
} from '@nestjs/common';

import type { OnStale as StaleChoice } from '../kernel/outage.js';
import { isIdentifier, isScopeToken } from '../tokens/claims.js';
import type { VerifiedToken } from '../tokens/verified-token.js';
import { currentToken } from './current-token.js';
import { readRequirement, type StepUpDemand, type StepUpRequirement } from './step-up-demand.js';

/**
 * What a route demands, said at the class, at the method, or at both: every level must hold, and
 * repeating a decorator adds to what stands there. Without any, a route demands a valid token.
 */

/** What a policy function decides on. */
export interface PolicyInput {
  readonly token: VerifiedToken;
  /** The platform's request: an Express or a Fastify one. */
  readonly request: unknown;
  readonly context: ExecutionContext;
}

/** Decides by claims and request. Throwing, or anything but `true`, refuses. */
export type PolicyFunction = (input: PolicyInput) => boolean | Promise<boolean>;

/** What a token can be bound to: a key, a client certificate, the sender cookie, its sender's look. */
export type BoundKind = 'dpop' | 'mtls' | 'cookie' | 'fingerprint';

const BOUND_KINDS: readonly unknown[] = [
  'dpop',
  'mtls',
  'cookie',
  'fingerprint',
] satisfies BoundKind[];

/** One demand of one decorator. */
export type Demand =
  | StepUpDemand
  | { readonly kind: 'bound'; readonly any: readonly BoundKind[] }
  | { readonly kind: 'duringStepUp' }
  | { readonly kind: 'public' }
  | { readonly kind: 'scopes'; readonly all: readonly string[] }
  | { readonly kind: 'anyScope'; readonly any: readonly string[] }
  | { readonly kind: 'roles'; readonly any: readonly string[] }
  | { readonly kind: 'permissions'; readonly all: readonly string[] }
  | { readonly kind: 'policy'; readonly allows: PolicyFunction }
  | { readonly kind: 'onStale'; readonly choice: StaleChoice };

type Names = readonly [string, ...string[]];

/** Registered, so that a second copy of this package in a dependency tree reads the same demands. */
const DEMANDS = Symbol.for('nest-jwt-hardening:demands');

/**
 * The route needs no token. A token that is right is still available through `@CurrentToken()`; one
 * that is wrong leaves the request anonymous. Contradicts every other demand.
 */
export function Public(): ClassDecorator & MethodDecorator {
  return addDemand({ kind: 'public' });
}

/** The token's `scope` must hold all of these (RFC 6749 §3.3). */
export function Scopes(...all: Names): ClassDecorator & MethodDecorator {
  return addDemand({ kind: 'scopes', all: checkNames('@Scopes', all, isScopeToken) });
}

/** The token's `scope` must hold at least one of these. */
export function AnyScope(...any: Names): ClassDecorator & MethodDecorator {
  return addDemand({ kind: 'anyScope', any: checkNames('@AnyScope', any, isScopeToken) });
}

/** The token's `roles` must hold at least one of these. */
export function Roles(...any: Names): ClassDecorator & MethodDecorator {
  return addDemand({ kind: 'roles', any: checkNames('@Roles', any, isIdentifier) });
}

/** The token's `permissions` must hold all of these. */
export function Permissions(...all: Names): ClassDecorator & MethodDecorator {
  return addDemand({ kind: 'permissions', all: checkNames('@Permissions', all, isIdentifier) });
}

/** The function must answer `true`. It runs after all other demands were met. */
export function Policy(allows: PolicyFunction): ClassDecorator & MethodDecorator {
  if (typeof allows !== 'function') throw new TypeError('@Policy takes a function');
  return addDemand({ kind: 'policy', allows });
}

/**
 * The user must have authenticated as recently, as strongly or by the methods said here, or have
 * confirmed the `action` for this very request. Otherwise the answer is the challenge of RFC 9470 §3.
 * A token that does not say when or how does not meet it. Repeated, all of them must hold.
 */
export function RequireStepUp(requirement: StepUpRequirement): ClassDecorator & MethodDecorator {
  return addDemand(readRequirement(requirement));
}

/** The token must be bound to at least one of these, and the request have proven it. */
export function Bound(
  ...any: readonly [BoundKind, ...BoundKind[]]
): ClassDecorator & MethodDecorator {
  return addDemand({ kind: 'bound', any: checkNames('@Bound', any, isBoundKind) });
}

/**
 * The route where users step up, or log out: a sender who looks so different that a step-up is asked
 * for gets through to it. One who looks so different as to be refused does not.
 */
export function DuringStepUp(): ClassDecorator & MethodDecorator {
  return addDemand({ kind: 'duringStepUp' });
}

/**
 * What this route does while the store was not heard of for longer than `outage.maxLag`, instead of
 * what `outage.onStale` says. Of several levels the strictest holds: `'reject'`.
 */
export function OnStale(choice: StaleChoice): ClassDecorator & MethodDecorator {
  if (choice !== 'reject' && choice !== 'acceptWithAlert') {
    throw new TypeError("@OnStale takes 'reject' or 'acceptWithAlert'");
  }
  return addDemand({ kind: 'onStale', choice });
}

/**
 * The verified token of the request, or one of its fields. `undefined` only on a `@Public()` route
 * that was called without a valid token.
 */
// Typed by hand: what Nest 12 infers names a type that Nest 11 does not export.
export const CurrentToken: (
  field?: keyof VerifiedToken,
  ...pipes: (Type<PipeTransform> | PipeTransform)[]
) => ParameterDecorator = createParamDecorator(
  (field: keyof VerifiedToken | undefined, context: ExecutionContext): unknown => {
    const token = currentToken(context.switchToHttp().getRequest<object>());
    return field === undefined ? token : token?.[field];
  },
);

/** @internal What stands at the class of this prototype itself, not at the classes it extends. */
export function demandsOfClass(prototype: object): readonly Demand[] {
  return read(prototype);
}

/** @internal What stands at a method of this prototype itself, not of the ones it extends. */
export function demandsOfMethod(prototype: object, method: string): readonly Demand[] {
  return read(prototype, method);
}

/** @internal What stands at a function, wherever it was moved to. */
export function demandsOfFunction(handler: object): readonly Demand[] {
  return read(handler);
}

/**
 * Demands are kept by prototype and name, and on the function as well. A decorator that replaces the
 * function (a tracer, a transaction) drops what is written on it, a mixin that copies the function
 * drops what is kept by name, and a class decorator that wraps the constructor keeps its prototype:
 * a demand survives all three.
 */
function addDemand(demand: Demand): ClassDecorator & MethodDecorator {
  return (target: object, method?: string | symbol, descriptor?: PropertyDescriptor): void => {
    if (method === undefined) {
      write(demand, (target as { readonly prototype: object }).prototype);
      return;
    }
    const handler: unknown = descriptor?.value;
    if (typeof method !== 'string' || typeof handler !== 'function') {
      throw new TypeError('a demand stands at a class or at a method with a name');
    }
    write(demand, target, method);
    write(demand, handler);
  };
}

function read(target: object, method?: string): readonly Demand[] {
  const demands: unknown =
    method === undefined
      ? Reflect.getOwnMetadata(DEMANDS, target)
      : Reflect.getOwnMetadata(DEMANDS, target, method);
  return (demands as readonly Demand[] | undefined) ?? [];
}

function write(demand: Demand, target: object, method?: string): void {
  const demands = [...read(target, method), demand];
  if (method === undefined) Reflect.defineMetadata(DEMANDS, demands, target);
  else Reflect.defineMetadata(DEMANDS, demands, target, method);
}

function isBoundKind(value: unknown): value is BoundKind {
  return BOUND_KINDS.includes(value);
}

function checkNames<Name extends string>(
  decorator: string,
  names: readonly Name[],
  isName: (value: unknown) => boolean,
): readonly Name[] {
  // An empty list would demand nothing and read as if it did.
  if (names.length === 0) throw new TypeError(`${decorator} takes at least one name`);
  if (!names.every(isName)) throw new TypeError(`${decorator} was given a malformed name`);
  return Object.freeze([...names]);
}
