import { withDeadline } from '../kernel/deadline.js';
import { RevocationError, SessionError } from '../kernel/errors.js';
import { scopeTokens, type TokenClaims } from '../tokens/claims.js';
import type { Entitlements, SessionReference, SessionStart } from './session.js';

/**
 * What the subject of a session may do: granted when it starts, asked for again with every refresh if
 * the application wants that, and never more scope than it started with.
 */

/** The application's word on what a subject may do now; `null` if it may not go on. */
export type EntitlementsOf = (
  session: SessionReference,
) => Entitlements | null | Promise<Entitlements | null>;

/** Milliseconds the application has to answer. */
const ANSWER_WITHIN = 5_000;

/** Claims that have an option of their own, or are not the application's to choose. */
export const SESSION_CLAIMS = [
  'sub',
  'sid',
  'scope',
  'roles',
  'permissions',
  'client_id',
  'auth_time',
  'acr',
  'amr',
] as const;

/** The claims of a session's first access token. */
export function claimsToStart(
  subject: string,
  start: SessionStart,
  {
    sessionId,
    clientId,
    startedAt,
  }: Omit<SessionReference, 'subject'> & { readonly startedAt: number },
): TokenClaims {
  const { authTime, acr, amr } = start;
  return withEntitlements(start, {
    sub: subject,
    sid: sessionId,
    auth_time: Math.floor((authTime?.getTime() ?? startedAt) / 1000),
    ...(clientId === undefined ? {} : { client_id: clientId }),
    ...(acr === undefined ? {} : { acr }),
    ...(amr === undefined ? {} : { amr }),
  });
}

/**
 * The claims of its next one.
 * @param now when it is issued
 * @throws SessionError `ERR_SESSION_SUBJECT` if the application says so
 * @throws RevocationError `ERR_SUBJECT_UNAVAILABLE` if it does not answer
 */
export async function renewed(
  granted: TokenClaims,
  entitlementsOf: EntitlementsOf | null,
  now: Date,
): Promise<TokenClaims> {
  // The clock by which the session began can have been ahead, and no token says what is to come.
  const seconds = Math.floor(now.getTime() / 1000);
  const auth_time = Math.min(granted.auth_time ?? seconds, seconds);
  if (entitlementsOf === null) return { ...granted, auth_time };
  const { sub, sid, client_id, acr, amr } = granted;
  const reference = { subject: sub, sessionId: sid ?? '', clientId: client_id };
  const entitlements = await ask(entitlementsOf, reference);
  if (entitlements === null) {
    throw new SessionError('ERR_SESSION_SUBJECT', 'the application no longer entitles its subject');
  }
  const entitled = withEntitlements(entitlements, {
    sub,
    ...(sid === undefined ? {} : { sid }),
    auth_time,
    ...(client_id === undefined ? {} : { client_id }),
    ...(acr === undefined ? {} : { acr }),
    ...(amr === undefined ? {} : { amr }),
  });
  const before = new Set(scopesOf(granted.scope));
  // Scope that was not granted at the login was not consented to either.
  return { ...entitled, scope: scopesOf(entitled.scope).filter((scope) => before.has(scope)) };
}

/**
 * The claims with less scope.
 * @throws SessionError `ERR_SESSION_SCOPE` for more (RFC 6749 §6)
 */
export function narrowed(
  claims: TokenClaims,
  asked: string | readonly string[] | undefined,
): TokenClaims {
  if (asked === undefined) return claims;
  const granted = scopesOf(claims.scope);
  const wanted = new Set(scopesOf(asked));
  // Of what was granted, so that nobody fills a token by asking for the same many times.
  const scope = granted.filter((name) => wanted.delete(name));
  if (wanted.size > 0) {
    throw new SessionError('ERR_SESSION_SCOPE', 'it asks for scope that the session does not have');
  }
  return { ...claims, scope };
}

function withEntitlements(entitlements: Entitlements, fixed: TokenClaims): TokenClaims {
  const { scope, roles, permissions, claims = {} } = entitlements;
  const misplaced = SESSION_CLAIMS.find((name) => name in claims);
  if (misplaced !== undefined) {
    throw new TypeError(`claims must not name ${misplaced}: it is set by the session.`);
  }
  return {
    ...claims,
    ...fixed,
    ...(scope === undefined ? {} : { scope }),
    ...(roles === undefined ? {} : { roles }),
    ...(permissions === undefined ? {} : { permissions }),
  };
}

async function ask(
  entitlementsOf: EntitlementsOf,
  session: SessionReference,
): Promise<Entitlements | null> {
  const message = 'The entitlements of the session could not be asked for.';
  const failed = (cause?: unknown): RevocationError =>
    new RevocationError('ERR_SUBJECT_UNAVAILABLE', message, { cause });
  let answer: unknown;
  try {
    const asked = Promise.resolve(entitlementsOf(session));
    answer = await withDeadline(asked, ANSWER_WITHIN, () => failed());
  } catch (cause) {
    throw failed(cause);
  }
  // An answer that somebody forgot must neither end the session nor leave it all it had.
  if (!isAnswer(answer)) throw failed();
  return answer;
}

/** A list, such as one of scopes alone, would read as entitlements without any. */
function isAnswer(answer: unknown): answer is Entitlements | null {
  return typeof answer === 'object' && !Array.isArray(answer);
}

function scopesOf(scope: string | readonly string[] | undefined): readonly string[] {
  if (scope === undefined) return [];
  return typeof scope === 'string' ? (scopeTokens(scope) ?? [scope]) : scope;
}
