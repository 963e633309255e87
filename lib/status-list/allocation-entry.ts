import { ALLOCATION_LETTER, DIGEST_LENGTH } from '../revocation/revocation-entry.js';
import type { RevocableNames } from '../revocation/revocable-token.js';
import type { RevocationEntry } from '../revocation/revocation-log.js';
import { formatListName, type ListName, parseListName } from './list-name.js';

/**
 * That an index of a status list belongs to a token, as every instance reads it in the revocation
 * log: digests for names, so that a log tells nobody who uses the service. About 90 bytes.
 */
export interface Allocation {
  readonly list: ListName;
  readonly index: number;
  readonly token: RevocableNames & { readonly era: number };
  /** From this instant on, in milliseconds, the token is nowhere accepted. */
  readonly until: number;
}

/** More tokens than a list can have; also what keeps an entry of somebody else from costing memory. */
export const MAX_LIST_SIZE = 2 ** 22;

const ENTRY =
  /^l([0-9a-z-]{5,21}) ([0-9a-z]{1,5}) ([0-9a-z]{1,7}) ([0-9a-z]{1,9}) ((?:[A-Za-z0-9_-]{13}){3,4})$/;

export function writeAllocation({ list, index, token, until }: Allocation): RevocationEntry {
  const { token: tokenId, subject, key, session = '' } = token;
  const numbers = [index, token.issuedAt, token.era].map((number) => number.toString(36));
  const data = [
    `${ALLOCATION_LETTER}${formatListName(list)}`,
    ...numbers,
    `${tokenId}${subject}${key}${session}`,
  ];
  return { data: data.join(' '), expiresAt: until };
}

/** `undefined` for what this package did not write, or not this version of it. */
export function readAllocation({ data, expiresAt }: RevocationEntry): Allocation | undefined {
  const [, name = '', indexText = '', issuedAtText = '', eraText = '', digests = ''] =
    ENTRY.exec(data) ?? [];
  const list = parseListName(name);
  const index = Number.parseInt(indexText, 36);
  const issuedAt = Number.parseInt(issuedAtText, 36);
  const era = Number.parseInt(eraText, 36);
  if (list === undefined || index >= MAX_LIST_SIZE || issuedAt >= 2 ** 32 || era >= 2 ** 46) {
    return undefined;
  }
  const digest = (place: number): string =>
    digests.slice(place * DIGEST_LENGTH, (place + 1) * DIGEST_LENGTH);
  const session = digest(3);
  return {
    list,
    index,
    token: {
      token: digest(0),
      subject: digest(1),
      key: digest(2),
      session: session === '' ? undefined : session,
      issuedAt,
      era,
    },
    until: expiresAt,
  };
}
