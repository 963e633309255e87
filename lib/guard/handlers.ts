import { RequestMethod, type Type } from '@nestjs/common';
import type { DiscoveryService, MetadataScanner } from '@nestjs/core';

/**
 * Finds every method Nest calls from outside: HTTP routes, WebSocket messages, message patterns and
 * resolvers, whatever package declared them.
 */
export interface DiscoveredHandler {
  readonly type: Type;
  readonly name: string;
  readonly handler: Handler;
  readonly context: 'http' | 'websocket' | 'message' | 'graphql';
  /** `GET`, `POST`, …; or the kind of handler. */
  readonly method: string;
  /** As declared, one for each path; or the message pattern. */
  readonly paths: readonly string[];
}

type Handler = (...args: never[]) => unknown;

// The names under which Nest's decorators keep their metadata. They are part of no public export,
// and have been the same since Nest 6; test/guard/route-audit.spec.ts fails should one change.
const PATH = 'path';
const METHOD = 'method';
const SSE = '__sse__';
const MESSAGE_PATTERN = 'microservices:pattern';
const WEBSOCKET_MESSAGE = 'message';
const IS_GATEWAY = 'websockets:is_gateway';
const RESOLVES = [
  'graphql:resolver_type',
  'graphql:resolve_property',
  'graphql:resolve_reference',
] as const;

/** In the order of declaration. */
export function discoverHandlers(
  discovery: DiscoveryService,
  scanner: MetadataScanner,
): readonly DiscoveredHandler[] {
  const wrappers = [...discovery.getControllers(), ...discovery.getProviders()];
  const types = new Set(
    wrappers.flatMap(({ metatype }) =>
      typeof metatype === 'function' && metatype.prototype !== undefined ? [metatype as Type] : [],
    ),
  );
  return [...types].flatMap((type) =>
    scanner.getAllMethodNames(type.prototype as object).flatMap((name) => inspect(type, name)),
  );
}

function inspect(type: Type, name: string): readonly DiscoveredHandler[] {
  const handler = (type.prototype as Record<string, Handler | undefined>)[name];
  if (typeof handler !== 'function') return [];
  const read = (key: string, target: object): unknown => Reflect.getMetadata(key, target);
  const found = { type, name, handler };

  const handlers: DiscoveredHandler[] = [];
  const path = read(PATH, handler);
  const prefix = read(PATH, type);
  if (path !== undefined && prefix !== undefined) {
    const verb = RequestMethod[Number(read(METHOD, handler))] ?? 'ALL';
    const method = read(SSE, handler) === true ? 'SSE' : verb;
    const paths = toList(prefix).flatMap((start) => toList(path).map((end) => join(start, end)));
    handlers.push({ ...found, context: 'http', method, paths });
  }
  const pattern = read(MESSAGE_PATTERN, handler);
  if (pattern !== undefined) {
    handlers.push({ ...found, context: 'message', method: 'MESSAGE', paths: [display(pattern)] });
  }
  const message = read(WEBSOCKET_MESSAGE, handler);
  if (read(IS_GATEWAY, type) === true && message !== undefined) {
    handlers.push({ ...found, context: 'websocket', method: 'WS', paths: [display(message)] });
  }
  const resolves = RESOLVES.find((key) => read(key, handler) !== undefined);
  if (resolves !== undefined) {
    const kind = read(resolves, handler);
    const paths = [kind === true ? name : display(kind)];
    handlers.push({ ...found, context: 'graphql', method: 'GRAPHQL', paths });
  }
  return handlers;
}

function toList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [value];
}

function display(pattern: unknown): string {
  return toList(pattern)
    .map((part) => (typeof part === 'string' ? part : JSON.stringify(part)))
    .join(', ');
}

function join(...parts: readonly unknown[]): string {
  const path = parts
    .flatMap((part) => String(part).split('/'))
    .filter((part) => part !== '')
    .join('/');
  return `/${path}`;
}
