import type { IncomingMessage, ServerResponse } from 'node:http';

import helmet, { type HelmetOptions } from 'helmet';

/**
 * Security headers for a service that answers data and no pages, set by `helmet`. A subpath of its
 * own: an application that does not import it needs no `helmet`.
 */

type Middleware = (
  request: IncomingMessage,
  response: ServerResponse,
  next: (error?: unknown) => void,
) => void;

type PolicyOptions = Exclude<HelmetOptions['contentSecurityPolicy'], boolean | undefined>;

/** Nothing may be loaded, run, framed or sent from what we answer, should a browser show it. */
const DIRECTIVES = {
  defaultSrc: ["'none'"],
  baseUri: ["'none'"],
  formAction: ["'none'"],
  frameAncestors: ["'none'"],
};

/** Two years, in seconds: what browsers ask of who would be on their built-in list. */
const HSTS_MAX_AGE = 63_072_000;

/**
 * Express middleware that sets strict headers, on Fastify too: `app.use(apiHeaders())`, before other
 * middleware, so that refusals and errors have them as well. A middleware rather than a function that
 * takes the application, because its place among the others is the application's to choose.
 * @param options of `helmet`; each replaces ours for its header. Directives of `contentSecurityPolicy`
 * are added to ours, and replace those of the same name; with `useDefaults: true` they are added to
 * `helmet`'s own, which are for pages.
 */
export function apiHeaders(options: HelmetOptions = {}): Middleware {
  return helmet({
    // The other names that helmet has for two of these must not meet them.
    ...(options.hsts === undefined ? { strictTransportSecurity: { maxAge: HSTS_MAX_AGE } } : {}),
    ...(options.frameguard === undefined ? { xFrameOptions: { action: 'deny' } } : {}),
    ...options,
    contentSecurityPolicy: policyOf(options.contentSecurityPolicy),
  } as HelmetOptions);
}

function policyOf(chosen: HelmetOptions['contentSecurityPolicy']): PolicyOptions | boolean {
  if (chosen === false) return false;
  if (chosen === true || chosen === undefined)
    return { useDefaults: false, directives: DIRECTIVES };
  if (chosen.useDefaults === true) return chosen;
  const directives = Object.entries(chosen.directives ?? {});
  const named = directives.map(([name, value]) => [camelCase(name), value] as const);
  return {
    ...chosen,
    useDefaults: false,
    directives: { ...DIRECTIVES, ...Object.fromEntries(named) },
  };
}

/** `helmet` knows each directive by two names, and refuses both at once. */
function camelCase(name: string): string {
  return name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
