import { formatDigest, TableDigest } from '../../lib/revocation/table-digest.js';
import {
  digestBeginningWith,
  digestEndingIn,
  HOSTILE_DIGESTS,
  scatteredDigest,
} from './digest-mother.js';

function placeOf(table: TableDigest, digest: string): number {
  if (!table.parse(digest)) throw new TypeError('no digest');
  return table.place(table.first, table.second, table.third) >>> 0;
}

it.each(['AAAAAAAAAAAAA', '_____________', 'ABCDEFGHIJKLM', '-0123456789_z'])(
  '%s is written as it was read',
  (digest) => {
    const table = new TableDigest();
    expect(table.parse(digest)).toBe(true);
    expect(formatDigest(table.first, table.second, table.third)).toBe(digest);
  },
);

it('no part of a digest is longer than the table has room for', () => {
  const table = new TableDigest();
  table.parse('_____________');
  expect([table.first, table.second, table.third]).toEqual([2 ** 30 - 1, 2 ** 30 - 1, 2 ** 18 - 1]);
});

it.each(HOSTILE_DIGESTS)('%s is no digest', (_, digest) => {
  expect(new TableDigest().parse(digest)).toBe(false);
});

it('every character that differs makes another digest', () => {
  const table = new TableDigest();
  const seen = new Set<string>();
  for (let at = 0; at < 13; at++) {
    for (const character of 'Bz9-_') {
      expect(table.parse(`${'A'.repeat(at)}${character}${'A'.repeat(12 - at)}`)).toBe(true);
      seen.add([table.first, table.second, table.third].join());
    }
  }
  expect(seen.size).toBe(13 * 5);
});

describe('who chooses digests', () => {
  it('cannot know where they stand: no two tables agree', () => {
    const [one, other] = [new TableDigest(), new TableDigest()];
    const digests = Array.from({ length: 100 }, (_, index) => digestEndingIn(index));
    // By chance all are the same once in 2^3200 runs.
    expect(digests.map((digest) => placeOf(one, digest))).not.toEqual(
      digests.map((digest) => placeOf(other, digest)),
    );
  });

  it.each<readonly [what: string, digestAt: (index: number) => string]>([
    ['differ in the last characters', (index) => digestEndingIn(index)],
    ['differ in the first characters', (index) => digestBeginningWith(index)],
    ['differ in every 64th number', (index) => digestEndingIn(index * 64)],
    ['are the highest', (index) => digestEndingIn(2 ** 30 - 1 - index, '_')],
    ['have no order', scatteredDigest],
  ])('cannot crowd one segment with ones that %s', (_, digestAt) => {
    const table = new TableDigest();
    const segments = new Map<number, number>();
    for (let index = 0; index < 16_384; index++) {
      const segment = placeOf(table, digestAt(index)) >>> 22;
      segments.set(segment, (segments.get(segment) ?? 0) + 1);
    }
    // 16 on average.
    expect(Math.max(...segments.values())).toBeLessThan(160);
    expect(segments.size).toBeGreaterThan(900);
  });
});
