import type { Refusal } from '../guard/challenge.js';
import { AccessError, type AccessErrorCode, type SessionError } from '../kernel/errors.js';

/**
 * What the OAuth endpoints answer when they do not do what they were asked (RFC 6749 §5.2). One answer
 * for each error; what was wrong in particular is for the log.
 */
export type OAuthError =
  | 'invalid_request'
  | 'invalid_client'
  | 'unauthorized_client'
  | 'invalid_grant'
  | 'unsupported_grant_type'
  | 'invalid_scope';

/** A request to an OAuth endpoint was refused. */
export class EndpointRefusal extends AccessError {
  constructor(
    readonly error: OAuthError,
    code: AccessErrorCode,
    detail: string,
    options?: ErrorOptions,
  ) {
    super(code, detail, options);
  }
}

/** What the client's own page is told (RFC 6749 §4.1.2.1, OpenID Connect Core §3.1.2.6). */
export type AuthorizationErrorName =
  | 'invalid_request'
  | 'unauthorized_client'
  | 'access_denied'
  | 'unsupported_response_type'
  | 'invalid_scope'
  | 'login_required'
  | 'request_not_supported'
  | 'request_uri_not_supported'
  | 'registration_not_supported'
  | 'temporarily_unavailable'
  | 'server_error';

/** An authorization request was refused, and the client is to learn of it by way of the browser. */
export class AuthorizationRefusal extends AccessError {
  constructor(
    readonly error: AuthorizationErrorName,
    code: AccessErrorCode,
    detail: string,
    options?: ErrorOptions,
  ) {
    super(code, detail, options);
  }
}

/** The same, with where the browser is sent to say so. */
export class RedirectedRefusal extends AuthorizationRefusal {
  constructor(
    { error, code, detail, cause }: AuthorizationRefusal,
    readonly location: string,
  ) {
    super(error, code, detail, { cause });
  }
}

/** The request is not one: nothing in it was looked at further. */
export function malformed(detail: string): EndpointRefusal {
  return new EndpointRefusal('invalid_request', 'ERR_ACCESS_DENIED', detail);
}

/** Client authentication failed. */
export function notAuthenticated(detail: string, cause?: unknown): EndpointRefusal {
  return new EndpointRefusal('invalid_client', 'ERR_ACCESS_DENIED', detail, { cause });
}

const REFUSALS: Readonly<Record<OAuthError, Refusal>> = {
  invalid_request: { status: 400, error: 'invalid_request', headers: {} },
  invalid_client: {
    status: 401,
    error: 'invalid_client',
    // RFC 9110 §11.6.1: every 401 has a challenge, also where the client sent an assertion.
    headers: { 'WWW-Authenticate': 'Basic realm="oauth"' },
  },
  unauthorized_client: { status: 400, error: 'unauthorized_client', headers: {} },
  invalid_grant: { status: 400, error: 'invalid_grant', headers: {} },
  unsupported_grant_type: { status: 400, error: 'unsupported_grant_type', headers: {} },
  invalid_scope: { status: 400, error: 'invalid_scope', headers: {} },
};

/** The page that asked is another site's: it learns nothing, and its form did nothing. */
const FOREIGN: Refusal = { status: 403, error: 'access_denied', headers: {} };

/** RFC 7009 §2.2.1: the client must take the token for alive, and may ask again. */
export const UNAVAILABLE: Refusal = {
  status: 503,
  error: 'temporarily_unavailable',
  headers: { 'Retry-After': '5' },
};

/** What nobody foresaw: no success either, and what it says can hold anything. */
export const FAILED: Refusal = { status: 500, error: 'server_error', headers: {} };

/** What a client is told whose session did not go on: one answer, whatever was wrong (RFC 6749 §5.2). */
export function sessionRefusalFor({ code }: SessionError): Refusal {
  return REFUSALS[code === 'ERR_SESSION_SCOPE' ? 'invalid_scope' : 'invalid_grant'];
}

/** What the client is told. */
export function endpointRefusalFor(error: AccessError): Refusal {
  if (error instanceof RedirectedRefusal) {
    // RFC 9700 §4.12: whatever was posted stays here.
    return { status: 303, error: error.error, headers: { Location: error.location } };
  }
  if (error.code === 'ERR_ACCESS_CSRF') return FOREIGN;
  return REFUSALS[error instanceof EndpointRefusal ? error.error : 'invalid_request'];
}
