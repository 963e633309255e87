import type { Revocation, RevocationKind } from './revocation-entry.js';

/**
 * What callers of `RevocationService` say and are told.
 */

/** Whose name it is that is revoked. */
export interface RevokeOptions {
  /** @defaultValue this service's own issuer; else one of `trust` */
  readonly issuer?: string;
}

export interface RevokeSubjectOptions extends RevokeOptions {
  /** What lives on: the tokens of one session, or one token. @defaultValue nothing */
  readonly except?: { readonly sessionId: string } | { readonly tokenId: string };
}

/** A revocation that holds. */
export interface Revoked {
  readonly kind: RevocationKind;
  /** When it was made; for `before`, the instant it names. */
  readonly since: Date;
  /** When the last token it can concern has expired. */
  readonly until: Date;
}

/** How a token stands. */
export type RevocationStatus =
  | { readonly revoked: false }
  | { readonly revoked: true; readonly kind: RevocationKind; readonly since: Date };

/** How the revocation log stands, for readiness checks. */
export interface RevocationHealth {
  /** `recovering`: the log had lost entries and is getting them back. `stale`: see `outage.maxLag`. */
  readonly status: 'ok' | 'recovering' | 'stale';
  /** Milliseconds since this instance knew all of the log. */
  readonly lag: number;
  /** Revocations held in memory. */
  readonly entries: number;
}

export function describeRevocation({ kind, since, until }: Revocation): Revoked {
  return { kind, since: new Date(since), until: new Date(until) };
}
