import { hash } from 'node:crypto';

import type { RevocationEntry } from './revocation-log.js';

/**
 * One revocation, and how it is written in the log: a letter for its kind, a digest of what it
 * names, and an instant. Digests, so that a log tells nobody who uses the service.
 */
export interface Revocation {
  readonly kind: RevocationKind;
  /** Of what it names, 78 bits in base64url; empty for `everything` and `before`. */
  readonly digest: string;
  /**
   * When it was made, in milliseconds. `subject`, `version`, `others`, `everything`: the era a token has to
   * carry to be of later date. `exemption`: the era it exempts from. `before`: the instant it names.
   */
  readonly since: number;
  /** From this instant on it cannot concern any token. */
  readonly until: number;
}

const LETTERS = {
  /** One token, by its `jti`. */
  token: 't',
  /** All tokens of one session, by `sid`. */
  session: 's',
  /** All tokens of one subject that carry an earlier era. */
  subject: 'u',
  /** The same, because the subject's token version was raised. */
  version: 'v',
  /** As `subject`, but for what an `exemption` spares. Neither hides the other. */
  others: 'o',
  /** A session or a token of a subject that `others` up to this era spare. */
  exemption: 'x',
  /** All tokens signed with one key. */
  key: 'k',
  /** All tokens that carry an earlier era. */
  everything: 'a',
  /** All tokens issued before an instant. */
  before: 'b',
} as const;

export type RevocationKind = keyof typeof LETTERS;

const KINDS: ReadonlyMap<string, RevocationKind> = new Map(
  Object.entries(LETTERS).map(([kind, letter]) => [letter, kind as RevocationKind]),
);

/** Kinds that name nothing in particular. */
const NAMELESS: readonly RevocationKind[] = ['everything', 'before'];

/** Characters of a digest: 13 times 6 bits. */
export const DIGEST_LENGTH = 13;

const DIGEST = /^[A-Za-z0-9_-]{13}$/;
const INSTANT = /^[0-9a-z]{1,10}$/;

/** What an entry begins with that gives a token its place in a status list. */
export const ALLOCATION_LETTER = 'l';

/** Whether an entry is one of this package's own, and no revocation. */
export function isAllocation(data: string): boolean {
  return data.startsWith(ALLOCATION_LETTER);
}

/** What a digest is of. `subject`, `version` and `others` share theirs. */
export type Named = 'token' | 'session' | 'subject' | 'key' | 'exemptSession' | 'exemptToken';

/**
 * The digest of a name, the same on every instance. 78 bits of SHA-256: nobody finds a second name
 * for the digest of another's, and two of one's own harm nobody else.
 * @param path issuer first; no part holds a NUL
 */
export function digestOf(named: Named, ...path: readonly [issuer: string, ...string[]]): string {
  return hash('sha256', `${named}\0${path.join('\0')}`, 'base64url').slice(0, DIGEST_LENGTH);
}

export function writeRevocation({ kind, digest, since, until }: Revocation): RevocationEntry {
  return { data: `${LETTERS[kind]}${digest}${since.toString(36)}`, expiresAt: until };
}

/** `undefined` for what this package did not write, or not this version of it. */
export function readRevocation({ data, expiresAt }: RevocationEntry): Revocation | undefined {
  const kind = KINDS.get(data.slice(0, 1));
  if (kind === undefined) return undefined;
  const end = NAMELESS.includes(kind) ? 1 : 1 + DIGEST_LENGTH;
  const digest = data.slice(1, end);
  const instant = data.slice(end);
  if ((end > 1 && !DIGEST.test(digest)) || !INSTANT.test(instant)) return undefined;
  const since = Number.parseInt(instant, 36);
  const areInstants = Number.isSafeInteger(since) && Number.isSafeInteger(expiresAt);
  return areInstants ? { kind, digest, since, until: expiresAt } : undefined;
}
