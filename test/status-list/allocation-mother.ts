import { digestOf } from '../../lib/revocation/revocation-entry.js';
import type { Allocation } from '../../lib/status-list/allocation-entry.js';
import { type ListName, listNameAt } from '../../lib/status-list/list-name.js';

export const ISSUER = 'https://issuer.example';
/** Milliseconds: an instant in the middle of a period. */
export const NOW = Date.UTC(2026, 10, 22, 12);
export const PERIOD = 86_400;
export const LIST: ListName = listNameAt(NOW / 1000, PERIOD, 0);

/** What a token of these tests is called. */
export interface TokenNames {
  readonly jti: string;
  readonly sub?: string;
  readonly sid?: string | undefined;
  readonly kid?: string;
  readonly iat?: number;
  readonly era?: number;
}

/** The token of a request to allocate, with digests for names. */
export function tokenOf({
  jti,
  sub = 'alice',
  sid,
  kid = 'key-1',
  iat = NOW / 1000,
  era = 0,
}: TokenNames): Allocation['token'] {
  return {
    token: digestOf('token', ISSUER, jti),
    session: sid === undefined ? undefined : digestOf('session', ISSUER, sid),
    subject: digestOf('subject', ISSUER, sub),
    key: digestOf('key', ISSUER, kid),
    issuedAt: iat,
    era,
  };
}

/** A token that lives for 15 minutes, at an index of a list. */
export function allocationOf(
  index: number,
  names: Partial<TokenNames> = {},
  list: ListName = LIST,
): Allocation {
  const token = tokenOf({ jti: `token-${index}`, ...names });
  return { list, index, token, until: (token.issuedAt + 900) * 1000 };
}
