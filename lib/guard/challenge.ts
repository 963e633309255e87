import { HttpException } from '@nestjs/common';

import {
  AccessError,
  KeyError,
  ProofError,
  RevocationError,
  SessionError,
  type StepUpChallenge,
  StepUpRequired,
  StoreError,
  TokenError,
} from '../kernel/errors.js';
import { InsecureRequest } from './request-transport.js';

/**
 * The one place that turns a refusal into an HTTP answer (RFC 6750 §3, RFC 9449 §7.1, RFC 9470 §3).
 * All refusals of one kind are the same bytes; which check failed is for the log.
 */
export interface Refusal {
  readonly status: number;
  readonly error: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** How the client came, and what it may come with. It knows both. */
export interface Schemes {
  /** That of its credentials; `Bearer` if it brought none. */
  readonly used: 'Bearer' | 'DPoP';
  /** Signature algorithms of DPoP proofs, with a space between; `null` where they are not taken. */
  readonly dpopAlgorithms: string | null;
}

export const BEARER: Schemes = { used: 'Bearer', dpopAlgorithms: null };

const RETRY_AFTER_SECONDS = '5';

/** Seconds after which a key may make proofs again. */
const RETRY_PROOFS_AFTER = '60';

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

const TOO_MANY: Refusal = {
  status: 429,
  error: 'too_many_requests',
  headers: { 'Retry-After': RETRY_PROOFS_AFTER },
};

/** What the client is told. */
export function refusalFor(error: unknown, schemes: Schemes = BEARER): Refusal {
  if (error instanceof TokenError) return invalidToken(schemes);
  if (isOutage(error)) return UNAVAILABLE;
  if (error instanceof ProofError) return proofRefusal(error, schemes);
  if (error instanceof StepUpRequired) return insufficientAuthentication(error.challenge, schemes);
  if (error instanceof SessionError && error.code === 'ERR_SESSION_SCOPE') return INVALID_SCOPE;
  if (!(error instanceof AccessError)) return invalidToken(schemes);
  switch (error.code) {
    case 'ERR_ACCESS_NO_CREDENTIALS':
      // RFC 6750 §3.1: without credentials the challenge says nothing but its schemes.
      return { status: 401, error: 'unauthorized', headers: challenge(schemes) };
    case 'ERR_ACCESS_AMBIGUOUS_CREDENTIALS':
      return INVALID_REQUEST;
    case 'ERR_ACCESS_CSRF':
      return ACCESS_DENIED;
    case 'ERR_ACCESS_INSECURE':
      return insecure(error instanceof InsecureRequest ? error.location : undefined);
    case 'ERR_ACCESS_DENIED':
    case 'ERR_ACCESS_POLICY_FAILED':
      return insufficientScope(error.requiredScope, schemes);
    case 'ERR_ACCESS_UNAVAILABLE':
      return UNAVAILABLE;
    case 'ERR_ACCESS_STEP_UP':
    case 'ERR_ACCESS_UNSUPPORTED_CONTEXT':
    case 'ERR_ACCESS_UNKNOWN_HANDLER':
      return invalidToken(schemes);
  }
}

/** Where tokens are issued, a proof is a part of the request (RFC 9449 §5 and §8). */
export function issuerRefusalFor(error: ProofError): Refusal {
  if (error.code === 'ERR_PROOF_LIMITED') return TOO_MANY;
  if (error.code === 'ERR_PROOF_CERTIFICATE') return { ...INVALID_REQUEST, headers: {} };
  return { status: 400, error: proofFault(error), headers: nonceHeader(error) };
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

function invalidToken(schemes: Schemes): Refusal {
  return { status: 401, error: 'invalid_token', headers: challenge(schemes, 'invalid_token') };
}

function proofRefusal(error: ProofError, schemes: Schemes): Refusal {
  if (error.code === 'ERR_PROOF_LIMITED') return TOO_MANY;
  // RFC 8705 §3.
  if (error.code === 'ERR_PROOF_CERTIFICATE') return invalidToken(schemes);
  const fault = proofFault(error);
  const headers = { ...challenge({ ...schemes, used: 'DPoP' }, fault), ...nonceHeader(error) };
  return { status: 401, error: fault, headers };
}

function proofFault({ code }: ProofError): string {
  return code === 'ERR_PROOF_NONCE' ? 'use_dpop_nonce' : 'invalid_dpop_proof';
}

function nonceHeader({ nonce }: ProofError): Readonly<Record<string, string>> {
  // RFC 9449 §8.2: a nonce is for who asked.
  return nonce === undefined ? {} : { 'DPoP-Nonce': nonce, 'Cache-Control': 'no-store' };
}

/** `requiredScope` holds scope tokens of a decorator, which need no quoting. */
function insufficientScope(requiredScope: string | undefined, schemes: Schemes): Refusal {
  const details = requiredScope === undefined ? [] : [`scope="${requiredScope}"`];
  const error = 'insufficient_scope';
  return { status: 403, error, headers: challenge(schemes, error, details) };
}

/** What it holds are words of a decorator, which need no quoting. */
function insufficientAuthentication(
  { maxAge, acrValues, action }: StepUpChallenge,
  schemes: Schemes,
): Refusal {
  const error = 'insufficient_user_authentication';
  const details = [
    ...(acrValues === undefined ? [] : [`acr_values="${acrValues.join(' ')}"`]),
    ...(maxAge === undefined ? [] : [`max_age="${maxAge}"`]),
    ...(action === undefined ? [] : [`action="${action}"`]),
  ];
  return { status: 401, error, headers: challenge(schemes, error, details) };
}

/** RFC 9110 §11.6.1; the scheme that was used first, and the other one where that could help. */
function challenge(
  { used, dpopAlgorithms }: Schemes,
  error?: string,
  details: readonly string[] = [],
): Readonly<Record<string, string>> {
  const said = error === undefined ? [] : [`error="${error}"`, ...details];
  const algorithms = dpopAlgorithms === null ? [] : [`algs="${dpopAlgorithms}"`];
  if (used === 'DPoP') return wwwAuthenticate(['DPoP', [...said, ...algorithms]]);
  // Nothing is wrong with the token of who lacks scope, or an authentication.
  const helps = error === undefined || error === 'invalid_token';
  return dpopAlgorithms === null || !helps
    ? wwwAuthenticate(['Bearer', said])
    : wwwAuthenticate(['Bearer', said], ['DPoP', algorithms]);
}

function wwwAuthenticate(
  ...challenges: readonly (readonly [scheme: string, parameters: readonly string[]])[]
): Readonly<Record<string, string>> {
  const texts = challenges.map(([scheme, parameters]) =>
    parameters.length === 0 ? scheme : `${scheme} ${parameters.join(', ')}`,
  );
  return { 'WWW-Authenticate': texts.join(', ') };
}
