import { Injectable, Logger, type OnApplicationBootstrap, type Type } from '@nestjs/common';
import { DiscoveryService, MetadataScanner } from '@nestjs/core';

import { ConfigError, type ConfigProblem } from '../kernel/errors.js';
import { AuthGuard } from './auth.guard.js';
import { type Demand, demandsOfMethod } from './decorators.js';
import { type DiscoveredHandler, discoverHandlers } from './handlers.js';
import { demandsOf, isRelief, prototypesOf } from './route-policy.js';
import { acrForAll, describeStepUp, isAskedBy } from './step-up-demand.js';

/**
 * Lists every handler with what it demands while the application starts, and stops the start when
 * decorators contradict each other.
 */

/** One handler and what stands before it. */
export interface AuditedRoute {
  /** `http`; or a kind of handler whose calls the guard refuses. */
  readonly context: DiscoveredHandler['context'];
  /** `GET`, `POST`, …; or the kind of handler. */
  readonly method: string;
  /** As declared, without the application's global prefix; or the message pattern. */
  readonly path: string;
  /** `Controller.method` */
  readonly handler: string;
  /**
   * Such as `public`, `token`, `scopes(accounts:read)`, `stepUp(max 5m)`; `refused` where no call
   * gets through, and `unguarded` where no guard stands.
   */
  readonly demands: readonly string[];
}

export interface RouteAuditConfig {
  readonly printRoutes: 'print' | 'silent';
  /** Whether the guard stands before every handler, or where `@UseGuards` puts it. */
  readonly guard: 'global' | 'manual';
}

/** What `@UseGuards` writes; see the note on names in handlers.ts. */
const GUARDS = '__guards__';

@Injectable()
export class RouteAudit implements OnApplicationBootstrap {
  readonly #logger = new Logger('JwtHardening');
  #routes: readonly AuditedRoute[] = [];

  constructor(
    private readonly config: RouteAuditConfig,
    private readonly discovery: DiscoveryService,
    private readonly scanner: MetadataScanner,
  ) {}

  /** Every handler found at start, in the order of declaration. */
  routes(): readonly AuditedRoute[] {
    return this.#routes;
  }

  /** @throws ConfigError `ERR_CONFIG_ROUTES` naming every contradiction */
  onApplicationBootstrap(): void {
    const handlers = discoverHandlers(this.discovery, this.scanner);
    const types = [...new Set(handlers.map(({ type }) => type))];
    const problems = [
      ...this.#registrations(),
      ...types.flatMap(replacements),
      ...handlers.flatMap(contradictions),
    ];
    if (problems.length > 0) throw new ConfigError('ERR_CONFIG_ROUTES', problems);
    this.#routes = Object.freeze(handlers.flatMap((handler) => this.#describe(handler)));
    if (this.config.printRoutes === 'print') {
      this.#logger.log(`routes:\n${formatRoutes(this.#routes)}`);
    }
  }

  #describe(handler: DiscoveredHandler): readonly AuditedRoute[] {
    const { type, name, context, method, paths } = handler;
    const demands = this.#standsBefore(handler);
    return paths.map((path) =>
      Object.freeze({ context, method, path, handler: `${type.name}.${name}`, demands }),
    );
  }

  #standsBefore(handler: DiscoveredHandler): readonly string[] {
    if (this.config.guard === 'manual' && !isGuardedByHand(handler)) return ['unguarded'];
    return handler.context === 'http'
      ? describe(demandsOf(handler.type, handler.name))
      : ['refused'];
  }

  /** Two guards would each refuse what the other's issuer signed: nothing would ever be let through. */
  #registrations(): readonly ConfigProblem[] {
    const count = this.discovery.getProviders().filter(({ token }) => token === RouteAudit).length;
    if (count < 2) return [];
    const problem = `it is imported ${count} times with options`;
    return [{ path: 'JwtHardeningModule', problem, fix: 'Call forRoot or forRootAsync once' }];
  }
}

/** The table as text, a line a route. */
export function formatRoutes(routes: readonly AuditedRoute[]): string {
  const rows = routes.map(({ method, path, handler, demands }) => [
    method,
    path,
    handler,
    demands.join(' + '),
  ]);
  const widths = [0, 1, 2].map((column) =>
    Math.max(0, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  return rows
    .map((row) => `  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}`)
    .join('\n');
}

function isGuardedByHand({ type, handler }: DiscoveredHandler): boolean {
  return [type, handler].some((target) => {
    const guards = Reflect.getMetadata(GUARDS, target) as readonly unknown[] | undefined;
    return guards?.some((guard) => guard === AuthGuard || guard instanceof AuthGuard) === true;
  });
}

function replacements(type: Type): readonly ConfigProblem[] {
  const prototype = type.prototype as { readonly constructor: Type };
  if (prototype.constructor.prototype === prototype) return [];
  return [
    {
      path: type.name,
      problem: 'its prototype names another class as its constructor, which hides what it demands',
      fix: 'Remove the class decorator that replaces the class, or let it return a subclass',
    },
  ];
}

function contradictions({ type, name }: DiscoveredHandler): readonly ConfigProblem[] {
  const path = `${type.name}.${name}`;
  const demands = demandsOf(type, name);
  const restrictions = demands.filter((demand) => !isPublic(demand));
  const problems: ConfigProblem[] = [];
  if (restrictions.length > 0 && restrictions.length < demands.length) {
    problems.push({
      path,
      problem: `it is @Public() and also demands ${describe(restrictions).join(' and ')}`,
      fix: 'Remove @Public(), or the other decorators on the method, its class and what they extend',
    });
  }
  problems.push(...stepUpContradictions(path, demands));
  const lost = demandsLostByOverriding(type, name);
  if (lost.length > 0) {
    problems.push({
      path,
      problem: `it overrides a method that demands ${describe(lost).join(' and ')} and does not say so itself`,
      fix: 'Repeat the decorator on the overriding method, or remove it from the overridden one',
    });
  }
  return problems;
}

/** Demands that no request can meet, or that nobody could who is to step up. */
function stepUpContradictions(path: string, demands: readonly Demand[]): readonly ConfigProblem[] {
  const stepUps = demands.filter((demand) => demand.kind === 'stepUp');
  const problems: ConfigProblem[] = [];
  if (stepUps.length > 0 && demands.some(({ kind }) => kind === 'duringStepUp')) {
    problems.push({
      path,
      problem: `it is @DuringStepUp() and also demands ${describe(stepUps).join(' and ')}`,
      fix: 'Remove @RequireStepUp() from where users step up, or @DuringStepUp() from where they do not',
    });
  }
  if (acrForAll(stepUps)?.length === 0) {
    problems.push({
      path,
      problem: 'no value of acr meets all that it demands',
      fix: 'Name the same value wherever @RequireStepUp() stands, at the class and at the method',
    });
  }
  const actions = new Set(stepUps.flatMap(({ action }) => action ?? []));
  if (actions.size > 1) {
    problems.push({
      path,
      problem: `it demands confirmations of ${[...actions].join(' and ')}, and a request brings one`,
      fix: 'Leave one action, at the class or at the method',
    });
  }
  return problems;
}

/** What overridden methods demand and the overriding one leaves unsaid. */
function demandsLostByOverriding(type: Type, method: string): readonly Demand[] {
  const [own, ...overridden] = [...prototypesOf(type)].filter((prototype) =>
    Object.hasOwn(prototype, method),
  );
  if (own === undefined) return [];
  const restated = demandsOfMethod(own, method);
  return overridden
    .flatMap((prototype) => demandsOfMethod(prototype, method))
    .filter((demand) => !isRelief(demand) && !isRestated(demand, restated));
}

/** Whether other demands, together, ask at least as much as this one. */
function isRestated(demand: Demand, others: readonly Demand[]): boolean {
  switch (demand.kind) {
    case 'public':
    case 'duringStepUp':
      return true;
    case 'stepUp':
      return isAskedBy(
        demand,
        others.filter((other) => other.kind === 'stepUp'),
      );
    case 'policy':
      return others.some((other) => other.kind === 'policy' && other.allows === demand.allows);
    case 'onStale':
      return others.some(
        (other) => other.kind === 'onStale' && [demand.choice, 'reject'].includes(other.choice),
      );
    case 'scopes':
    case 'permissions': {
      const all = others.flatMap((other) => (other.kind === demand.kind ? other.all : []));
      return demand.all.every((name) => all.includes(name));
    }
    case 'anyScope':
    case 'roles':
    case 'bound': {
      const any: readonly string[] = demand.any;
      return others.some(
        (other) => other.kind === demand.kind && other.any.every((name) => any.includes(name)),
      );
    }
  }
}

function isPublic(demand: Demand): boolean {
  return demand.kind === 'public';
}

function describe(demands: readonly Demand[]): readonly string[] {
  if (demands.length === 0) return ['token'];
  const texts = demands.map((demand) => {
    switch (demand.kind) {
      case 'public':
      case 'duringStepUp':
        return demand.kind;
      case 'stepUp':
        return describeStepUp(demand);
      case 'policy':
        return `policy(${demand.allows.name === '' ? 'function' : demand.allows.name})`;
      case 'onStale':
        return `onStale(${demand.choice})`;
      case 'scopes':
      case 'permissions':
        return `${demand.kind}(${demand.all.join(', ')})`;
      case 'anyScope':
      case 'roles':
      case 'bound':
        return `${demand.kind}(${demand.any.join(' | ')})`;
    }
  });
  return [...new Set(texts)];
}
