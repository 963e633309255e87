import {
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  RequestMethod,
  type Type,
} from '@nestjs/common';
import { DiscoveryService, MetadataScanner } from '@nestjs/core';

import { ConfigError, type ConfigProblem } from '../kernel/errors.js';
import { type Demand, demandsOfMethod } from './decorators.js';
import { levelsOf, prototypesOf } from './route-policy.js';

/**
 * Lists every handler with what it demands while the application starts, and stops the start when
 * decorators contradict each other.
 */

/** One handler and what stands before it. */
export interface AuditedRoute {
  /** `http`; or a kind of handler whose calls the guard refuses. */
  readonly context: 'http' | 'websocket' | 'message' | 'graphql';
  /** `GET`, `POST`, …; or the kind of handler. */
  readonly method: string;
  /** As declared, without the application's global prefix; or the message pattern. */
  readonly path: string;
  /** `Controller.method` */
  readonly handler: string;
  /** Such as `public`, `token`, `scopes(accounts:read)`, or `refused`. */
  readonly demands: readonly string[];
}

/** Whether the table is printed, and what else depends on where the application runs. */
export interface RouteAuditConfig {
  readonly printRoutes: 'print' | 'silent';
}

// The names under which Nest's decorators keep their metadata. They are part of no public export,
// and stable since Nest 6; test/guard/route-audit.spec.ts fails should one change.
const PATH = 'path';
const METHOD = 'method';
const SSE = '__sse__';
const MESSAGE_PATTERN = 'microservices:pattern';
const WEBSOCKET_MESSAGE = 'message';
const IS_GATEWAY = 'websockets:is_gateway';
const RESOLVER_TYPE = 'graphql:resolver_type';

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
    const routes: AuditedRoute[] = [];
    const problems: ConfigProblem[] = [];
    for (const type of this.#handlerClasses()) {
      for (const method of this.scanner.getAllMethodNames(type.prototype as object)) {
        const found = handlersOf(type, method);
        routes.push(...found);
        if (found.length > 0) problems.push(...contradictions(type, method));
      }
    }
    if (problems.length > 0) throw new ConfigError('ERR_CONFIG_ROUTES', problems);
    this.#routes = Object.freeze(routes);
    if (this.config.printRoutes === 'print') this.#logger.log(`routes:\n${formatRoutes(routes)}`);
  }

  #handlerClasses(): ReadonlySet<Type> {
    const wrappers = [...this.discovery.getControllers(), ...this.discovery.getProviders()];
    return new Set(
      wrappers.flatMap(({ metatype }) =>
        typeof metatype === 'function' && metatype.prototype !== undefined
          ? [metatype as Type]
          : [],
      ),
    );
  }
}

/** The table as text, a line a route. */
export function formatRoutes(routes: readonly AuditedRoute[]): string {
  const width = (column: (route: AuditedRoute) => string): number =>
    Math.max(0, ...routes.map((route) => column(route).length));
  const method = width((route) => route.method);
  const path = width((route) => route.path);
  const handler = width((route) => route.handler);
  return routes
    .map((route) =>
      [
        `  ${route.method.padEnd(method)}`,
        route.path.padEnd(path),
        route.handler.padEnd(handler),
        route.demands.join(' + '),
      ].join('  '),
    )
    .join('\n');
}

function handlersOf(type: Type, method: string): readonly AuditedRoute[] {
  const handler = (type.prototype as Record<string, unknown>)[method];
  if (typeof handler !== 'function') return [];
  const name = `${type.name}.${method}`;
  const read = (key: string, target: object): unknown => Reflect.getMetadata(key, target);

  const path = read(PATH, handler);
  if (path !== undefined && read(PATH, type) !== undefined) {
    const verb =
      read(SSE, handler) === true ? 'SSE' : (RequestMethod[Number(read(METHOD, handler))] ?? 'ALL');
    const demands = describe(levelsOf(type, method).flat());
    return toList(read(PATH, type)).flatMap((prefix) =>
      toList(path).map((suffix) => ({
        context: 'http' as const,
        method: verb,
        path: joinPath(prefix, suffix),
        handler: name,
        demands,
      })),
    );
  }
  const refused = { handler: name, demands: ['refused'] };
  const pattern = read(MESSAGE_PATTERN, handler);
  if (pattern !== undefined) {
    const path = toList(pattern)
      .map((part) => JSON.stringify(part))
      .join(', ');
    return [{ context: 'message', method: 'MESSAGE', path, ...refused }];
  }
  if (read(IS_GATEWAY, type) === true && read(WEBSOCKET_MESSAGE, handler) !== undefined) {
    const path = String(read(WEBSOCKET_MESSAGE, handler));
    return [{ context: 'websocket', method: 'WS', path, ...refused }];
  }
  if (read(RESOLVER_TYPE, handler) !== undefined) {
    const path = String(read(RESOLVER_TYPE, handler));
    return [{ context: 'graphql', method: 'GRAPHQL', path, ...refused }];
  }
  return [];
}

function contradictions(type: Type, method: string): readonly ConfigProblem[] {
  const path = `${type.name}.${method}`;
  const demands = levelsOf(type, method).flat();
  const problems: ConfigProblem[] = [];
  if (demands.some(isPublic) && !demands.every(isPublic)) {
    problems.push({
      path,
      problem: `it is @Public() and also demands ${describe(demands.filter((d) => !isPublic(d))).join(' and ')}`,
      fix: 'Remove @Public(), or the other decorators on the method, its class and what they extend',
    });
  }
  for (const lost of demandsLostByOverriding(type, method)) {
    problems.push({
      path,
      problem: `it overrides a method that demands ${describe([lost]).join('')} and does not say so itself`,
      fix: 'Repeat the decorator on the overriding method, or remove it from the overridden one',
    });
  }
  return problems;
}

/** What overridden methods demand and the overriding one leaves unsaid (Nest itself would drop it). */
function demandsLostByOverriding(type: Type, method: string): readonly Demand[] {
  const [own, ...overridden] = [...prototypesOf(type)].filter((prototype) =>
    Object.hasOwn(prototype, method),
  );
  if (own === undefined) return [];
  const restated = new Set(demandsOfMethod(own, method).map(fingerprint));
  return overridden
    .flatMap((prototype) => demandsOfMethod(prototype, method))
    .filter((demand) => !restated.has(fingerprint(demand)));
}

function isPublic(demand: Demand): boolean {
  return demand.kind === 'public';
}

function fingerprint(demand: Demand): unknown {
  return demand.kind === 'policy' ? demand.allows : JSON.stringify(demand);
}

function describe(demands: readonly Demand[]): readonly string[] {
  if (demands.length === 0) return ['token'];
  const texts = demands.map((demand) => {
    switch (demand.kind) {
      case 'public':
        return 'public';
      case 'policy':
        return `policy(${demand.allows.name === '' ? 'function' : demand.allows.name})`;
      case 'scopes':
      case 'permissions':
        return `${demand.kind}(${demand.all.join(', ')})`;
      case 'anyScope':
      case 'roles':
        return `${demand.kind}(${demand.any.join(' | ')})`;
    }
  });
  return [...new Set(texts)];
}

function toList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [value];
}

function joinPath(...parts: readonly unknown[]): string {
  const path = parts
    .flatMap((part) => String(part).split('/'))
    .filter((part) => part !== '')
    .join('/');
  return `/${path}`;
}
