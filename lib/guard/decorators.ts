import { createParamDecorator, type ExecutionContext } from '@nestjs/common';

import { isIdentifier, isScopeToken } from '../tokens/claims.js';
import type { VerifiedToken } from '../tokens/verified-token.js';
import { currentToken } from './current-token.js';

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

/** One demand of one decorator. */
export type Demand =
  | { readonly kind: 'public' }
  | { readonly kind: 'scopes'; readonly all: readonly string[] }
  | { readonly kind: 'anyScope'; readonly any: readonly string[] }
  | { readonly kind: 'roles'; readonly any: readonly string[] }
  | { readonly kind: 'permissions'; readonly all: readonly string[] }
  | { readonly kind: 'policy'; readonly allows: PolicyFunction };

type Names = readonly [string, ...string[]];

const DEMANDS = Symbol('nest-jwt-hardening:demands');

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
 * The verified token of the request, or one of its fields. `undefined` only on a `@Public()` route
 * that was called without a valid token.
 */
export const CurrentToken = createParamDecorator(
  (field: keyof VerifiedToken | undefined, context: ExecutionContext): unknown => {
    const token = currentToken(context.switchToHttp().getRequest<object>());
    return field === undefined ? token : token?.[field];
  },
);

/** @internal What stands at a class itself, not at the classes it extends. */
export function demandsOfClass(target: object): readonly Demand[] {
  return (Reflect.getOwnMetadata(DEMANDS, target) as readonly Demand[] | undefined) ?? [];
}

/** @internal What stands at a method of this prototype itself, not of the ones it extends. */
export function demandsOfMethod(prototype: object, method: string): readonly Demand[] {
  return (
    (Reflect.getOwnMetadata(DEMANDS, prototype, method) as readonly Demand[] | undefined) ?? []
  );
}

/**
 * Kept by class and method name, not on the method's function: a decorator that replaces the
 * function (a tracer, a transaction) would drop what is written on it, and with it the demand.
 */
function addDemand(demand: Demand): ClassDecorator & MethodDecorator {
  return (target: object, method?: string | symbol): void => {
    if (method === undefined) {
      Reflect.defineMetadata(DEMANDS, [...demandsOfClass(target), demand], target);
    } else if (typeof method === 'string') {
      const demands = [...demandsOfMethod(target, method), demand];
      Reflect.defineMetadata(DEMANDS, demands, target, method);
    } else {
      throw new TypeError('a route handler cannot be named by a symbol');
    }
  };
}

function checkNames(
  decorator: string,
  names: readonly string[],
  isName: (value: unknown) => boolean,
): readonly string[] {
  // An empty list would demand nothing and read as if it did.
  if (names.length === 0) throw new TypeError(`${decorator} takes at least one name`);
  if (!names.every(isName)) throw new TypeError(`${decorator} was given a malformed name`);
  return Object.freeze([...names]);
}
