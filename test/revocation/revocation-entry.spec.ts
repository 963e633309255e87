import { createHash } from 'node:crypto';

import {
  DIGEST_LENGTH,
  digestOf,
  type Named,
  readRevocation,
  type Revocation,
  writeRevocation,
} from '../../lib/revocation/revocation-entry.js';
import { HOSTILE_DIGESTS } from './digest-mother.js';

const NOW = 1_800_000_000_000;
const DIGEST = 'revokedDigest';
const ISSUER = 'https://issuer.example';

/** 1 800 000 000 000 as it stands in the log. */
const SINCE = 'mywpiww0';

/** What instances of other versions read and write, so it is written down a second time. */
const WRITTEN: readonly (readonly [kind: Revocation['kind'], digest: string, data: string])[] = [
  ['token', DIGEST, `t${DIGEST}${SINCE}`],
  ['session', DIGEST, `s${DIGEST}${SINCE}`],
  ['subject', DIGEST, `u${DIGEST}${SINCE}`],
  ['version', DIGEST, `v${DIGEST}${SINCE}`],
  ['others', DIGEST, `o${DIGEST}${SINCE}`],
  ['exemption', DIGEST, `x${DIGEST}${SINCE}`],
  ['key', DIGEST, `k${DIGEST}${SINCE}`],
  ['everything', '', `a${SINCE}`],
  ['before', '', `b${SINCE}`],
];

it.each(WRITTEN)('%s is written in one way, and read again', (kind, digest, data) => {
  const revocation = { kind, digest, since: NOW, until: NOW + 60_000 };
  expect(writeRevocation(revocation)).toEqual({ data, expiresAt: NOW + 60_000 });
  expect(readRevocation({ data, expiresAt: NOW + 60_000 })).toEqual(revocation);
});

it.each([0, 1, 35, 36, NOW + 1, 36 ** 10 - 1])(
  'the instant %i is kept to the millisecond',
  (at) => {
    const revocation = { kind: 'subject', digest: DIGEST, since: at, until: NOW } as const;
    expect(readRevocation(writeRevocation(revocation))).toEqual(revocation);
  },
);

describe('what is not ours', () => {
  it.each<readonly [what: string, data: string]>([
    ['nothing', ''],
    ['a kind alone', 't'],
    ['another kind', `z${DIGEST}${SINCE}`],
    ['a kind in capitals', `T${DIGEST}${SINCE}`],
    ['a name that every object has', 'constructor'],
    ['no instant', `t${DIGEST}`],
    ['no instant of everything', 'a'],
    ['an instant of eleven characters', `t${DIGEST}${'1'.repeat(11)}`],
    ['an instant in capitals', `t${DIGEST}${SINCE.toUpperCase()}`],
    ['a negative instant', `t${DIGEST}-1`],
    ['an instant with a fraction', `t${DIGEST}1.5`],
    ['an instant after a space', `t${DIGEST} 1`],
    ['a line break at the end', `t${DIGEST}${SINCE}\n`],
    ['a second line', `t${DIGEST}${SINCE}\nt${DIGEST}${SINCE}`],
    ['more after the instant', `t${DIGEST}${SINCE}.`],
    ['a digest where there is none', `a${DIGEST}${SINCE}`],
    ['a kibibyte', 't'.repeat(1_024)],
    ['a megabyte', `a${'1'.repeat(1 << 20)}`],
    ...HOSTILE_DIGESTS.filter(([, digest]) => digest.length === DIGEST_LENGTH).map(
      ([what, digest]): readonly [string, string] => [
        `${what} in its digest`,
        `t${digest}${SINCE}`,
      ],
    ),
  ])('is not read: %s', (_, data) => {
    expect(readRevocation({ data, expiresAt: NOW })).toBeUndefined();
  });
});

describe('a digest', () => {
  it('is the beginning of the SHA-256 of what is named, in base64url', () => {
    const digest = createHash('sha256').update(`token\0${ISSUER}\0id`).digest('base64url');
    expect(digestOf('token', ISSUER, 'id')).toBe(digest.slice(0, DIGEST_LENGTH));
    expect(digestOf('token', ISSUER, 'id')).toMatch(/^[A-Za-z0-9_-]{13}$/);
  });

  it('is another one for whatever differs', () => {
    const named: readonly Named[] = [
      'token',
      'session',
      'subject',
      'key',
      'exemptSession',
      'exemptToken',
    ];
    const paths: readonly (readonly [string, ...string[]])[] = [
      [ISSUER, 'id'],
      [ISSUER, 'ID'],
      [ISSUER, 'id '],
      [ISSUER, ''],
      [ISSUER],
      [`${ISSUER}/`, 'id'],
      [ISSUER, 'i', 'd'],
      [ISSUER, 'id', ''],
      [`${ISSUER}i`, 'd'],
      // One letter as a whole, and as two characters: the same text to a reader, another name.
      [ISSUER, '\u00E9'],
      [ISSUER, 'e\u0301'],
      [ISSUER, 'x'.repeat(1 << 16)],
    ];
    const digests = named.flatMap((what) => paths.map((path) => digestOf(what, ...path)));
    expect(new Set(digests).size).toBe(named.length * paths.length);
  });
});
