import type { AuthTransport } from './options.js';

/**
 * What a tab knows of the session, and shares with the tabs beside it. With cookies that is no more
 * than an end and a CSRF token.
 */
export interface Grant {
  /** Orders the grants of all tabs, whatever becomes of the clock: of two, the later stands. */
  readonly at: number;
  /** The same for all grants of one login. */
  readonly session: string;
  /** Milliseconds from the answer to the end of the access token; 0 if nobody said. */
  readonly lifetime: number;
  /** When that is over; `Infinity` if nobody said. */
  readonly expiresAt: number;
  readonly proofs: Proofs;
}

/** What requests of the transport carry: two tokens, or a CSRF token beside the cookies. */
export type Proofs =
  | { readonly access: string; readonly refresh: string; readonly csrf?: undefined }
  | { readonly csrf: string; readonly access?: undefined; readonly refresh?: undefined };

/** What the server granted: a grant that has no place among the others yet. */
export type Terms = Omit<Grant, 'at' | 'session'>;

/** Visible ASCII: what can stand in a header without becoming two. */
const TOKEN = /^[\x21-\x7e]{1,16384}$/;
const CSRF_COOKIE = /(?:^|;\s*)__Host-csrf_token=([\w-]{1,512})(?:;|$)/;

/** The CSRF token among the page's cookies. */
export function csrfTokenIn(cookies: string): string | undefined {
  return CSRF_COOKIE.exec(cookies)?.[1];
}

/** The terms in a login or refresh answer; `undefined` if it is none of this library's server. */
export function readTerms(
  answer: unknown,
  transport: AuthTransport,
  sentAt: number,
): Terms | undefined {
  const fields = fieldsOf(answer);
  const lifetime = Number(fields['expires_in']) * 1000;
  if (!(lifetime > 0 && lifetime < Infinity)) return undefined;
  const proofs = readProofs(transport, {
    access: fields['access_token'],
    refresh: fields['refresh_token'],
    csrf: fields['csrf_token'],
  });
  // Counted from the request: the server's token lives no shorter than that.
  return proofs && { lifetime, expiresAt: sentAt + lifetime, proofs };
}

/** The grant in another tab's message, if it is one for this transport. */
export function readGrant(given: unknown, transport: AuthTransport): Grant | undefined {
  const { at, session, lifetime, expiresAt, proofs: shared } = fieldsOf(given);
  const proofs = readProofs(transport, fieldsOf(shared));
  if (proofs === undefined || !isInstant(at) || typeof session !== 'string') return undefined;
  if (typeof lifetime !== 'number' || typeof expiresAt !== 'number') return undefined;
  if (!(lifetime >= 0 && lifetime < Infinity && expiresAt >= 0)) return undefined;
  return { at, session, lifetime, expiresAt, proofs };
}

/** A place in the order of grants. */
export function isInstant(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

export function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function readProofs(
  transport: AuthTransport,
  { access, refresh, csrf }: Readonly<Record<string, unknown>>,
): Proofs | undefined {
  if (transport === 'cookie') return isToken(csrf) ? { csrf } : undefined;
  return isToken(access) && isToken(refresh) ? { access, refresh } : undefined;
}

function isToken(value: unknown): value is string {
  return typeof value === 'string' && TOKEN.test(value);
}
