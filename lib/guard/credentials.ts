import type { ConnectedSocket } from '../binding/client-address.js';
import { AccessError } from '../kernel/errors.js';

/**
 * Takes the token out of an HTTP request, from the one place it may stand: the `Authorization`
 * header (RFC 6750 §2.1), unless cookies may carry it too. Never from the query string (RFC 9700
 * §4.3.2) and never from a form.
 */

/** What Express and Fastify requests have in common, as far as it is read here. */
export interface HttpRequest {
  readonly headers: {
    readonly authorization?: string | undefined;
    readonly 'content-type'?: string | undefined;
    readonly cookie?: string | undefined;
    readonly [name: string]: string | readonly string[] | undefined;
  };
  readonly method?: string;
  /** Fastify keeps Node's request here; an Express request is Node's. */
  readonly raw?: NodeRequest;
  readonly url?: string;
  /** As it was sent, whatever was made of it on the way. */
  readonly originalUrl?: string;
  readonly rawHeaders?: readonly string[];
  readonly socket?: ConnectedSocket;
  readonly body?: unknown;
}

interface NodeRequest {
  readonly url?: string;
  readonly rawHeaders: readonly string[];
  readonly socket?: ConnectedSocket;
}

const AUTHORIZATION = 'authorization';
// Scheme names are case-insensitive (RFC 9110 §11.1). RFC 6750 §2.1 lets more than one space follow;
// one is what clients send, and a token has one spelling.
/** Schemes whose credentials are an access token (RFC 6750 §2.1, RFC 9449 §7.1). */
const TOKEN_SCHEME = /^(?:bearer|(dpop))(?: |$)/i;
const FORM = /^application\/x-www-form-urlencoded\b/i;

/** A token as it came. */
export interface CarriedToken {
  readonly scheme: 'Bearer' | 'DPoP' | 'cookie';
  readonly text: string;
}

/**
 * The token in the header, or `undefined` when the request carries none.
 * @throws AccessError `ERR_ACCESS_AMBIGUOUS_CREDENTIALS` when it carries more than one
 */
export function readAuthorization(request: HttpRequest): CarriedToken | undefined {
  const { authorization } = request.headers;
  if (authorization === undefined) return undefined;
  refuseSecondHeader(request);
  refuseSecondToken(request, 'a token in the header');
  const scheme = TOKEN_SCHEME.exec(authorization);
  if (scheme === null) return undefined;
  const text = authorization.slice(scheme[0].length);
  return { scheme: scheme[1] === undefined ? 'Bearer' : 'DPoP', text };
}

/** The scheme a request came with, whatever its credentials are worth. */
export function schemeOf({ headers: { authorization = '' } }: HttpRequest): 'Bearer' | 'DPoP' {
  return TOKEN_SCHEME.exec(authorization)?.[1] === undefined ? 'Bearer' : 'DPoP';
}

/**
 * For a request whose cookies carry a token.
 * @throws AccessError `ERR_ACCESS_AMBIGUOUS_CREDENTIALS` when it carries another one anywhere else
 */
export function refuseBesideCookie(request: HttpRequest): void {
  refuseSecondHeader(request);
  // Other schemes are for whoever stands before us, such as a proxy that asks for a password.
  if (TOKEN_SCHEME.test(request.headers.authorization ?? '')) {
    throw ambiguous('a token in a cookie and in the header');
  }
  refuseSecondToken(request, 'a token in a cookie');
}

/** Node keeps the first and drops the others, a proxy in front may have judged the last. */
function refuseSecondHeader(request: HttpRequest): void {
  const { rawHeaders = [] } = received(request);
  if (countAuthorization(rawHeaders) > 1) throw ambiguous('more than one Authorization header');
}

function refuseSecondToken(request: HttpRequest, first: string): void {
  if (hasQueryToken(received(request).url ?? '')) {
    throw ambiguous(`${first} and in the query string`);
  }
  if (hasFormToken(request)) throw ambiguous(`${first} and in the form`);
}

function received(request: HttpRequest): Pick<HttpRequest, 'rawHeaders' | 'url'> {
  return request.rawHeaders === undefined ? (request.raw ?? {}) : request;
}

/** In whatever spelling: the name may be percent-encoded (RFC 3986 §6.2.2). */
function hasQueryToken(url: string): boolean {
  const start = url.indexOf('?');
  if (start < 0 || !/token|%/i.test(url)) return false;
  return new URLSearchParams(url.slice(start + 1).replaceAll(';', '&')).has('access_token');
}

/** RFC 6750 §2.2, which is never read; beside a header it is a second token. */
function hasFormToken({ body, headers }: HttpRequest): boolean {
  if (typeof body !== 'object' || body === null || !('access_token' in body)) return false;
  return FORM.test(headers['content-type'] ?? '');
}

function countAuthorization(rawHeaders: readonly string[]): number {
  let count = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index];
    if (name?.length === AUTHORIZATION.length && name.toLowerCase() === AUTHORIZATION) count++;
  }
  return count;
}

/** The refusal of a request that carries more than one token. */
export function ambiguous(detail: string): AccessError {
  return new AccessError('ERR_ACCESS_AMBIGUOUS_CREDENTIALS', detail);
}
