import {
  MAX_LIFE,
  RevocationTable,
  type TabledRevocation,
  UNTIL_STEP,
} from '../../lib/revocation/revocation-table.js';
import {
  digestBeginningWith,
  digestEndingIn,
  HOSTILE_DIGESTS,
  scatteredDigest,
  SeededNumbers,
} from './digest-mother.js';

/** In 2027, at the beginning of a step. */
const NOW = 219_726_563 * UNTIL_STEP;
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const MIB = 1 << 20;
const DIGEST = 'revokedDigest';

/** Whatever a table has of segments, all of them are swept. */
function sweepAll(table: RevocationTable, now: number): void {
  table.sweep(now, Infinity);
}

/** A table with this one entry. */
function tableOf(entry: Omit<TabledRevocation, 'digest'>, now = NOW): RevocationTable {
  const table = new RevocationTable();
  table.add({ digest: DIGEST, ...entry }, now);
  return table;
}

it.each(HOSTILE_DIGESTS)('%s is refused, and not found', (_, digest) => {
  const table = tableOf({ since: NOW, until: NOW + HOUR });
  expect(() => table.add({ digest, since: NOW, until: NOW + HOUR }, NOW)).toThrow(TypeError);
  expect(table.find(digest, NOW)).toBeUndefined();
  expect(table.holds({ digest, since: NOW, until: NOW }, NOW)).toBe(false);
  expect(table.size).toBe(1);
});

describe('an entry', () => {
  it.each([
    ['whole steps', 1_000 * UNTIL_STEP, 1_000 * UNTIL_STEP],
    ['a millisecond more', 1_000 * UNTIL_STEP + 1, 1_001 * UNTIL_STEP],
    ['a millisecond', 1, UNTIL_STEP],
    ['a day and a minute', DAY + 60_000, 10_555 * UNTIL_STEP],
    ['the longest life', MAX_LIFE, MAX_LIFE],
    ['more than that', MAX_LIFE + 2 * UNTIL_STEP, MAX_LIFE + UNTIL_STEP],
    ['400 days', 400 * DAY, MAX_LIFE + UNTIL_STEP],
  ])('of %s ends exactly then, in steps rounded up', (_, life, kept) => {
    const table = tableOf({ since: NOW, until: NOW + life });
    expect(table.find(DIGEST, NOW + kept - 1)).toBe(NOW);
    expect(table.find(DIGEST, NOW + kept)).toBeUndefined();
    expect([...table.held(NOW)]).toEqual([{ digest: DIGEST, since: NOW, until: NOW + kept }]);
  });

  it('loses no life to where in a step it begins', () => {
    for (const offset of [1, 4_000, UNTIL_STEP - 1]) {
      const since = NOW + offset;
      for (const life of [UNTIL_STEP, UNTIL_STEP + 1, DAY, MAX_LIFE]) {
        const table = tableOf({ since, until: since + life }, since);
        expect(table.find(DIGEST, since + life - 1)).toBe(since);
        expect(table.find(DIGEST, since + life + UNTIL_STEP)).toBeUndefined();
      }
    }
  });

  it.each([
    ['just made', 0],
    ['made a millisecond ago', -1],
    ['made by an instance that is ahead', 1],
    ['made a second ahead', 1_000],
    ['replayed a day later', -DAY],
  ])('%s keeps its instant to the millisecond', (_, offset) => {
    for (const now of [NOW, 2 ** 31 * 800, 2 ** 32 * 400, 2 ** 32 * 419 - 1, 2 ** 32 * 419 + 1]) {
      const since = now + offset;
      const table = tableOf({ since, until: now + HOUR }, now);
      for (const later of [0, 1, 1_000, HOUR - 1]) {
        expect(table.find(DIGEST, now + later)).toBe(since);
      }
      expect(table.find(DIGEST, now + HOUR + UNTIL_STEP)).toBeUndefined();
    }
  });

  it.each([
    ['ends now', NOW - HOUR, NOW],
    ['ended', NOW - HOUR, NOW - 1],
    ['is older than any can be', NOW - MAX_LIFE - UNTIL_STEP, NOW + HOUR],
    ['is as old as the clock of 32 bits', NOW - 2 ** 32, NOW + HOUR],
  ])('that %s is not taken', (_, since, until) => {
    const table = new RevocationTable();
    expect(table.add({ digest: DIGEST, since, until }, NOW)).toBe(false);
    expect(table.size).toBe(0);
  });

  it.each([
    ['2^31 ms', 2 ** 31],
    ['2^32 ms', 2 ** 32],
    ['a thousand years', 365_000 * DAY],
  ])('from %s ahead counts, with an instant that can be told', (_, ahead) => {
    const entry = { digest: DIGEST, since: NOW + ahead, until: NOW + ahead + HOUR };
    const table = tableOf(entry);
    expect(table.find(DIGEST, NOW)).toBe(NOW + MAX_LIFE);
    expect(table.holds(entry, NOW)).toBe(true);
    expect(table.add(entry, NOW)).toBe(false);
  });

  it('counts also if it ends before its instant', () => {
    expect(tableOf({ since: NOW + HOUR, until: NOW + 1 }).find(DIGEST, NOW)).toBe(NOW + HOUR);
  });
});

describe('a second entry for a digest', () => {
  const FIRST = { since: NOW, until: NOW + 100 * UNTIL_STEP };
  it.each([
    ['the same', 0, 0, 'latestOfEach', 0, 0],
    ['later', 5, 9, 'latestOfEach', 5, 9],
    ['later with an earlier end', 5, -9, 'latestOfEach', 5, 0],
    ['earlier with a later end', -5, 9, 'latestOfEach', 0, 9],
    ['earlier', -5, -9, 'latestOfEach', 0, 0],
    ['the same', 0, 0, 'latestSince', 0, 0],
    ['the same with a later end', 0, 9, 'latestSince', 0, 9],
    ['the same with an earlier end', 0, -9, 'latestSince', 0, 0],
    ['later with an earlier end', 5, -9, 'latestSince', 5, -9],
    ['earlier with a later end', -5, 9, 'latestSince', 0, 0],
  ] as const)(
    'that is %s (%i ms, %i steps; %s)',
    (_, since, steps, onRepeat, keptSince, keptSteps) => {
      const table = new RevocationTable(onRepeat);
      table.add({ digest: DIGEST, ...FIRST }, NOW);
      const until = FIRST.until + steps * UNTIL_STEP;
      const second = { digest: DIGEST, since: NOW + since, until };
      expect(table.add(second, NOW)).toBe(keptSince !== 0 || keptSteps !== 0);
      expect(table.add(second, NOW)).toBe(false);
      expect(table.size).toBe(1);
      expect([...table.held(NOW)]).toEqual([
        {
          digest: DIGEST,
          since: NOW + keptSince,
          until: FIRST.until + keptSteps * UNTIL_STEP,
        },
      ]);
    },
  );

  it.each(['latestOfEach', 'latestSince'] as const)(
    'has nothing of one that ended (%s)',
    (onRepeat) => {
      const table = new RevocationTable(onRepeat);
      table.add({ digest: DIGEST, since: NOW + 10, until: NOW + UNTIL_STEP }, NOW);
      table.add({ digest: digestEndingIn(1), since: NOW, until: NOW + DAY }, NOW);
      const later = NOW + UNTIL_STEP;
      expect(table.add({ digest: DIGEST, since: NOW, until: NOW + 2 * UNTIL_STEP }, later)).toBe(
        true,
      );
      expect(table.find(DIGEST, later)).toBe(NOW);
      expect(table.find(DIGEST, NOW + 2 * UNTIL_STEP)).toBeUndefined();
      expect(table.size).toBe(2);
    },
  );

  it('does not lengthen its life each time it comes', () => {
    const table = tableOf(FIRST);
    for (let now = NOW; now < FIRST.until; now += 777) {
      table.add({ digest: DIGEST, since: now, until: FIRST.until }, now);
    }
    expect(table.find(DIGEST, FIRST.until - 1)).toBeDefined();
    expect(table.find(DIGEST, FIRST.until)).toBeUndefined();
  });
});

it.each([
  ['the same', 0, 0, true],
  ['less', -1, -1, true],
  ['a later instant', 1, 0, false],
  ['a later end', 0, 1, false],
])('whether it holds %s', (_, since, until, expected) => {
  const end = NOW + 100 * UNTIL_STEP;
  const table = tableOf({ since: NOW, until: end });
  const asked = { digest: DIGEST, since: NOW + since, until: end + until };
  expect(table.holds(asked, NOW)).toBe(expected);
  expect(table.holds(asked, end)).toBe(false);
  expect(table.holds({ ...asked, digest: digestEndingIn(1) }, NOW)).toBe(false);
});

it('holds what it cut off', () => {
  const entry = { digest: DIGEST, since: NOW, until: NOW + 400 * DAY };
  expect(tableOf(entry).holds(entry, NOW)).toBe(true);
});

it.each([
  ['the last characters', digestEndingIn],
  ['the first characters', digestBeginningWith],
])('tells apart 100 000 digests that differ in %s', (_, digestOf) => {
  const table = new RevocationTable();
  for (let index = 0; index < 100_000; index++) {
    table.add({ digest: digestOf(index), since: NOW + index, until: NOW + DAY }, NOW);
  }
  const wrong = Array.from({ length: 200_000 }, (_, index) => index).filter(
    (index) => table.find(digestOf(index), NOW) !== (index < 100_000 ? NOW + index : undefined),
  );
  expect(wrong).toEqual([]);
  // A segment of its own would be the best an attacker could do: 64 times this.
  expect(table.bytes).toBeLessThanOrEqual(4 * MIB);
});

it('agrees with plain lists through many entries that come, go and are swept', () => {
  const numbers = new SeededNumbers(20_260_101);
  const table = new RevocationTable();
  const sinces: number[] = [];
  const untils: number[] = [];
  let now = NOW;
  let wrong = 0;
  const check = (index: number): void => {
    const expected = (untils[index] ?? 0) > now ? sinces[index] : undefined;
    if (table.find(scatteredDigest(index), now) !== expected) wrong++;
  };
  for (let count = 0; count < 200_000; count++) {
    const isRepeat = numbers.below(8) === 0;
    const index = isRepeat ? numbers.below(sinces.length + 1) : sinces.length;
    const since = now - numbers.below(60_000) + 100;
    const until = since + numbers.below(4_000_000);
    table.add({ digest: scatteredDigest(index), since, until }, now);
    const old = (untils[index] ?? 0) > now ? index : -1;
    if (until > now) {
      sinces[index] = Math.max(since, sinces[old] ?? 0);
      untils[index] = Math.max(Math.ceil(until / UNTIL_STEP) * UNTIL_STEP, untils[old] ?? 0);
    } else if (index === sinces.length) {
      sinces[index] = untils[index] = 0;
    }
    if (count % 4 === 0) check(index);
    if (count % 4 === 2) check(numbers.below(sinces.length));
    if (count % 50 === 0) {
      now += numbers.below(600);
      table.sweep(now, 2_000);
    }
  }
  for (let index = 0; index < sinces.length; index++) check(index);
  expect(wrong).toBe(0);

  sweepAll(table, now);
  const live = sinces.flatMap((since, index) =>
    (untils[index] ?? 0) > now ? `${scatteredDigest(index)} ${since} ${untils[index]}` : [],
  );
  const held = [...table.held(now)].map(
    ({ digest, since, until }) => `${digest} ${since} ${until}`,
  );
  expect(table.size).toBe(live.length);
  expect(live.length).toBeGreaterThan(20_000);
  expect(new Set(held).size).toBe(held.length);
  const known = new Set(live);
  expect(held.filter((entry) => !known.has(entry))).toEqual([]);
  expect(held).toHaveLength(live.length);
});

it('gives each entry that stays once, whatever comes and goes meanwhile', () => {
  const table = new RevocationTable();
  const stays = Array.from({ length: 20_000 }, (_, index) => digestEndingIn(index, 's'));
  for (const digest of stays) table.add({ digest, since: NOW, until: NOW + DAY }, NOW);
  for (let index = 0; index < 20_000; index++) {
    table.add({ digest: digestEndingIn(index, 'g'), since: NOW, until: NOW + HOUR }, NOW);
  }
  const given: string[] = [];
  let now = NOW;
  for (const { digest } of table.held(NOW)) {
    given.push(digest);
    if (given.length % 100 !== 0) continue;
    now += 60_000;
    for (let index = 0; index < 300; index++) {
      const late = digestEndingIn(given.length * 1_000 + index, 'l');
      table.add({ digest: late, since: now, until: now + HOUR }, now);
    }
    table.sweep(now, 20_000);
  }
  expect(new Set(given).size).toBe(given.length);
  const stayed = given.filter((digest) => digest.startsWith('s'));
  expect(stayed.toSorted()).toEqual(stays.toSorted());
  expect(given.some((digest) => digest.startsWith('l'))).toBe(true);
});

describe('memory', () => {
  it('is none before the first entry', () => {
    expect(new RevocationTable().bytes).toBe(0);
  });

  it('is given back once everything has ended', () => {
    const table = new RevocationTable();
    for (let index = 0; index < 200_000; index++) {
      table.add({ digest: digestEndingIn(index), since: NOW, until: NOW + HOUR }, NOW);
    }
    expect(table.bytes).toBeGreaterThan(3 * MIB);
    const later = NOW + HOUR + UNTIL_STEP;
    table.sweep(later, 1);
    expect([table.size, table.bytes]).toEqual([0, 0]);
    expect(table.find(digestEndingIn(1), later)).toBeUndefined();
  });

  it('follows what is left, though that lies scattered', () => {
    const table = new RevocationTable();
    for (let index = 0; index < 400_000; index++) {
      const until = NOW + (index % 40 === 0 ? DAY : HOUR);
      table.add({ digest: digestEndingIn(index), since: NOW, until }, NOW);
    }
    expect(table.bytes).toBeGreaterThan(6 * MIB);
    const later = NOW + HOUR + UNTIL_STEP;
    sweepAll(table, later);
    sweepAll(table, later);
    expect(table.size).toBe(10_000);
    expect(table.bytes).toBeLessThanOrEqual(4 * MIB);
    expect([...table.held(later)]).toHaveLength(10_000);
  });

  it('does not grow while as many come as go', () => {
    const table = new RevocationTable();
    let most = 0;
    for (let index = 0; index < 300_000; index++) {
      const now = NOW + index * 10;
      table.add({ digest: digestEndingIn(index), since: now, until: now + 500_000 }, now);
      if (index % 500 === 0) table.sweep(now, 10_000);
      if (index === 80_000) most = table.bytes;
    }
    expect(table.bytes).toBeLessThanOrEqual(most + 2 * MIB);
    expect(table.size).toBeLessThan(70_000);
  });

  it('is never more than 21 bytes an entry from a million on', () => {
    const table = new RevocationTable();
    let most = 0;
    // Until each segment was once as full, and once as roomy, as it gets. Slabs and pages make up less
    // with more entries: the bench holds ten million to 20 bytes.
    for (let index = 1; index <= 1_130_000; index++) {
      table.add({ digest: scatteredDigest(index), since: NOW, until: NOW + DAY }, NOW);
      if (index >= 1_000_000) most = Math.max(most, table.bytes / index);
    }
    expect(most).toBeLessThanOrEqual(21);
  });
});

describe('sweeping', () => {
  it('looks at no more slots than asked for and one segment', () => {
    const table = new RevocationTable();
    for (let index = 0; index < 300_000; index++) {
      table.add({ digest: digestEndingIn(index), since: NOW, until: NOW + DAY }, NOW);
    }
    const looks = Array.from({ length: 1_000 }, () => table.sweep(NOW + HOUR, 3_000));
    expect(Math.max(...looks)).toBeLessThan(3_000 + 2_000);
    expect(Math.min(...looks)).toBeGreaterThanOrEqual(3_000);
  });

  it('reaches every segment in turn', () => {
    const table = new RevocationTable();
    table.add({ digest: digestEndingIn(0, 'z'), since: NOW, until: NOW + DAY }, NOW);
    for (let index = 0; index < 50_000; index++) {
      table.add({ digest: digestEndingIn(index), since: NOW, until: NOW + HOUR }, NOW);
    }
    const later = NOW + 2 * HOUR;
    let rounds = 0;
    for (; table.size > 1 && rounds < 1_000; rounds++) table.sweep(later, 1_000);
    expect(table.size).toBe(1);
    expect(rounds).toBeGreaterThan(10);
  });
});

describe('instants that come round after 2^32 ms', () => {
  it.each([2 ** 31, 2 ** 31 + HOUR, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1_000])(
    'a process that slept for %i ms finds nothing of before',
    (slept) => {
      const table = tableOf({ since: NOW, until: NOW + HOUR });
      expect(table.find(DIGEST, NOW + slept)).toBeUndefined();
      table.add(
        { digest: digestEndingIn(1), since: NOW + slept, until: NOW + slept + HOUR },
        NOW + slept,
      );
      expect(table.find(DIGEST, NOW + slept)).toBeUndefined();
      expect(table.size).toBe(1);
    },
  );

  it('what ended does not come back although nobody sweeps', () => {
    const table = tableOf({ since: NOW, until: NOW + HOUR });
    const found: number[] = [];
    for (let now = NOW + 2 * HOUR, index = 0; now < NOW + 2 ** 32 + DAY; now += 6 * HOUR, index++) {
      table.add({ digest: digestEndingIn(index), since: now, until: now + DAY }, now);
      if (table.find(DIGEST, now) !== undefined) found.push(now);
    }
    expect(found).toEqual([]);
    expect(table.size).toBeLessThan(100);
  });

  it('nor does it while somebody sweeps', () => {
    const table = tableOf({ since: NOW, until: NOW + HOUR });
    for (let now = NOW + 2 * HOUR, index = 0; now < NOW + 2 ** 32 + DAY; now += HOUR, index++) {
      table.add({ digest: digestEndingIn(index), since: now, until: now + DAY }, now);
      table.sweep(now, 1_000);
      expect(table.find(DIGEST, now)).toBeUndefined();
    }
  });
});
