import { SessionError, TokenError } from '../kernel/errors.js';

/** What speaks for good against a session; `undefined` for what only cannot be said now. */
export function refusalOf(error: unknown): SessionError | undefined {
  if (error instanceof SessionError) return error;
  if (!(error instanceof TokenError)) return undefined;
  const { code, detail } = error;
  const isSubject = code === 'ERR_TOKEN_SUBJECT';
  return new SessionError(isSubject ? 'ERR_SESSION_SUBJECT' : 'ERR_SESSION_REVOKED', detail);
}
