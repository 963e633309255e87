import { HttpException } from '@nestjs/common';

import {
  AccessError,
  KeyError,
  RevocationError,
  SessionError,
  StoreError,
  TokenError,
} from '../kernel/errors.js';
import { InsecureRequest } from './request-transport.js';

/**
 * The one place that turns a refusal into an HTTP answer (RFC 6750 §3). All refusals of one kind are
 * the same bytes; which check failed is for the log.
 */
export interface Refusal {
  readonly status: number;
  readonly error: string;
  readonly headers: Readonly<Record<string, string>>;
}

const RETRY_AFTER_SECONDS = '5';

const NO_CREDENTIALS: Refusal = {
  status: 401,
  error: 'unauthorized',
  // RFC 6750 §3.1: without credentials the challenge says nothing but its scheme.
  headers: { 'WWW-Authenticate': 'Bearer' },
};

const INVALID_TOKEN: Refusal = {
  status: 401,
  error: 'invalid_token',
  headers: { 'WWW-Authenticate': 'Bearer error="invalid_token"' },
};

const INVALID_REQUEST: Refusal = {
  status: 400,
  error: 'invalid_request',
  headers: { 'WWW-Authenticate': 'Bearer error="invalid_request"' },
};

/** Also for what is right with the token; RFC 6750 has no code for it. */
const ACCESS_DENIED: Refusal = {
  status: 403,
  error: 'access_denied',
  headers: { 'WWW-Authenticate': 'Bearer' },
};

/** RFC 6749 §5.2: nothing is wrong with who asks, only with how much. */
const INVALID_SCOPE: Refusal = { status: 400, error: 'invalid_scope', headers: {} };

const UNAVAILABLE: Refusal = {
  status: 503,
  error: 'temporarily_unavailable',
  headers: { 'Retry-After': RETRY_AFTER_SECONDS },
};

/** What the client is told. */
export function refusalFor(error: unknown): Refusal {
  if (error instanceof TokenError) return INVALID_TOKEN;
  if (isOutage(error)) return UNAVAILABLE;
  if (error instanceof SessionError && error.code === 'ERR_SESSION_SCOPE') return INVALID_SCOPE;
  if (!(error instanceof AccessError)) return INVALID_TOKEN;
  switch (error.code) {
    case 'ERR_ACCESS_NO_CREDENTIALS':
      return NO_CREDENTIALS;
    case 'ERR_ACCESS_AMBIGUOUS_CREDENTIALS':
      return INVALID_REQUEST;
    case 'ERR_ACCESS_CSRF':
      return ACCESS_DENIED;
    case 'ERR_ACCESS_INSECURE':
      return insecure(error instanceof InsecureRequest ? error.location : undefined);
    case 'ERR_ACCESS_DENIED':
    case 'ERR_ACCESS_POLICY_FAILED':
      return insufficientScope(error.requiredScope);
    case 'ERR_ACCESS_UNAVAILABLE':
      return UNAVAILABLE;
    case 'ERR_ACCESS_UNSUPPORTED_CONTEXT':
    case 'ERR_ACCESS_UNKNOWN_HANDLER':
      return INVALID_TOKEN;
  }
}

/** The exception Nest answers with; exception filters of the application see it like any other. */
export function toHttpException({ status, error }: Refusal, cause: unknown): HttpException {
  return new HttpException({ error }, status, { cause });
}

/** What cannot be said now says nothing against the token: 401 would log its bearer out. */
export function isOutage(error: unknown): error is KeyError | RevocationError | StoreError {
  return [KeyError, RevocationError, StoreError].some((kind) => error instanceof kind);
}

/** RFC 9110 §15.4.9: the same request again. What came in clear was not done, so nothing is done twice. */
function insecure(location: string | undefined): Refusal {
  const error = 'insecure_transport';
  if (location === undefined) return { ...ACCESS_DENIED, error };
  // A cache must not learn it: where to was read from this request.
  return { status: 308, error, headers: { Location: location, 'Cache-Control': 'no-store' } };
}

/** `requiredScope` holds scope tokens of a decorator, which need no quoting. */
function insufficientScope(requiredScope: string | undefined): Refusal {
  const scope = requiredScope === undefined ? '' : `, scope="${requiredScope}"`;
  return {
    status: 403,
    error: 'insufficient_scope',
    headers: { 'WWW-Authenticate': `Bearer error="insufficient_scope"${scope}` },
  };
}
