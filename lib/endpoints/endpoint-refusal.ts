import type { Refusal } from '../guard/challenge.js';
import { AccessError, type AccessErrorCode } from '../kernel/errors.js';

/**
 * What the OAuth endpoints answer when they do not do what they were asked (RFC 6749 §5.2). One answer
 * for each error; what was wrong in particular is for the log.
 */
export type OAuthError =
  'invalid_request' | 'invalid_client' | 'unauthorized_client' | 'invalid_grant';

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
};

/** RFC 7009 §2.2.1: the client must take the token for alive, and may ask again. */
export const UNAVAILABLE: Refusal = {
  status: 503,
  error: 'temporarily_unavailable',
  headers: { 'Retry-After': '5' },
};

/** What nobody foresaw: no success either, and what it says can hold anything. */
export const FAILED: Refusal = { status: 500, error: 'server_error', headers: {} };

/** What the client is told. */
export function endpointRefusalFor(error: AccessError): Refusal {
  return REFUSALS[error instanceof EndpointRefusal ? error.error : 'invalid_request'];
}
