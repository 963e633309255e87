import { DIGEST_LENGTH, type Revocation } from '../../lib/revocation/revocation-entry.js';
import { RevocationIndex, type TabledKind } from '../../lib/revocation/revocation-index.js';
import { UNTIL_STEP } from '../../lib/revocation/revocation-table.js';
import { digestEndingIn, HOSTILE_DIGESTS } from './digest-mother.js';

/** In 2027, at the beginning of a step. */
const NOW = 219_726_563 * UNTIL_STEP;
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/** A multiple of a step, so that ends are kept as they are. */
const UNTIL = NOW + 400 * UNTIL_STEP;
const DIGEST = 'revokedDigest';

const TABLED: readonly TabledKind[] = [
  ...(['token', 'session', 'exemption'] as const),
  ...(['subject', 'version', 'others'] as const),
];
const NAMED: readonly Revocation['kind'][] = [...TABLED, 'key'];
const KINDS: readonly Revocation['kind'][] = [...NAMED, 'everything', 'before'];

function revocation(
  kind: Revocation['kind'],
  { since = NOW, until = UNTIL }: { readonly since?: number; readonly until?: number } = {},
): Revocation {
  return { kind, digest: NAMED.includes(kind) ? DIGEST : '', since, until };
}

function indexOf(...revocations: readonly Revocation[]): RevocationIndex {
  const index = new RevocationIndex();
  for (const one of revocations) index.add(one, NOW);
  return index;
}

/** What the index says of every kind. */
function answers(index: RevocationIndex, now = NOW): Partial<Record<Revocation['kind'], number>> {
  const all = [
    ...TABLED.map((kind) => [kind, index.find(kind, DIGEST, now)] as const),
    ['key', index.findKey(DIGEST, now)] as const,
    ['everything', index.everything(now)] as const,
    ['before', index.before(now)] as const,
  ];
  return Object.fromEntries(all.filter(([, since]) => since !== undefined));
}

it('says nothing of anything while it is empty', () => {
  const index = new RevocationIndex();
  expect(answers(index)).toEqual({});
  expect([index.size, index.generation, index.latestEra]).toEqual([0, 0, 0]);
  expect([...index.held(NOW)]).toEqual([]);
  index.sweep(NOW);
});

describe.each(KINDS)('%s', (kind) => {
  const one = revocation(kind);

  it('concerns its kind only', () => {
    expect(answers(indexOf(one))).toEqual({ [kind]: NOW });
  });

  it('ends exactly at its end', () => {
    const index = indexOf(one);
    expect(answers(index, UNTIL - 1)).toEqual({ [kind]: NOW });
    expect(answers(index, UNTIL)).toEqual({});
    expect([...index.held(UNTIL)]).toEqual([]);
  });

  it('changes nothing when it is added again', () => {
    const index = indexOf(one);
    const { generation } = index;
    expect(generation).toBeGreaterThan(0);
    index.add(one, NOW);
    index.add({ ...one, since: NOW - 1, until: UNTIL - UNTIL_STEP }, NOW);
    expect(index.generation).toBe(generation);
    expect([...index.held(NOW)]).toEqual([one]);
    expect(index.size).toBe(1);
  });

  it('raises the generation when it comes with a later instant, or a later end', () => {
    const index = indexOf(one);
    const first = index.generation;
    index.add({ ...one, since: NOW + 1 }, NOW);
    const second = index.generation;
    expect(second).toBeGreaterThan(first);
    index.add({ ...one, since: NOW + 1, until: UNTIL + DAY }, NOW);
    expect(index.generation).toBeGreaterThan(second);
    expect(answers(index)).toEqual({ [kind]: NOW + 1 });
  });

  it('is not held once it has ended', () => {
    const index = indexOf({ ...one, until: NOW });
    expect([index.size, answers(index)]).toEqual([0, {}]);
  });

  it('is held with what it says, and with less, but not with more', () => {
    const index = indexOf(one);
    expect(index.holds(one, NOW)).toBe(true);
    expect(index.holds({ ...one, since: NOW - 1, until: UNTIL - 1 }, NOW)).toBe(true);
    expect(index.holds({ ...one, since: NOW + 1 }, NOW)).toBe(false);
    expect(index.holds({ ...one, until: UNTIL + UNTIL_STEP }, NOW)).toBe(false);
    expect(index.holds(one, UNTIL)).toBe(false);
    for (const other of KINDS.filter((name) => name !== kind)) {
      expect(index.holds(revocation(other), NOW)).toBe(false);
    }
  });

  it('is swept after its end, and not before', () => {
    const index = indexOf(one);
    index.sweep(UNTIL - 1);
    expect(index.size).toBe(1);
    index.sweep(UNTIL);
    expect(index.size).toBe(0);
  });

  it.each([Number.NaN, Infinity, -Infinity, 1.5, 2 ** 53])('refuses %d as an instant', (at) => {
    const index = new RevocationIndex();
    expect(() => index.add({ ...one, since: at }, NOW)).toThrow(TypeError);
    expect(() => index.add({ ...one, until: at }, NOW)).toThrow(TypeError);
    expect([index.size, index.generation, index.latestEra]).toEqual([0, 0, 0]);
  });
});

describe('a hostile digest', () => {
  it.each(HOSTILE_DIGESTS)('is refused, and not found: %s', (_, digest) => {
    const index = indexOf(revocation('token'), revocation('key'), revocation('everything'));
    const { generation } = index;
    for (const kind of NAMED) {
      expect(() => index.add({ ...revocation(kind), digest }, NOW)).toThrow(TypeError);
      expect(index.holds({ ...revocation(kind), digest }, NOW)).toBe(false);
    }
    for (const kind of TABLED) expect(index.find(kind, digest, NOW)).toBeUndefined();
    expect(index.findKey(digest, NOW)).toBeUndefined();
    expect(index.generation).toBe(generation);
  });

  it.each(['everything', 'before'] as const)('%s names nothing', (kind) => {
    const index = new RevocationIndex();
    const named = { ...revocation(kind), digest: 'A'.repeat(DIGEST_LENGTH) };
    expect(() => index.add(named, NOW)).toThrow(TypeError);
    expect(answers(index)).toEqual({});
  });

  it('is not repeated by the error', () => {
    const add = (): void =>
      new RevocationIndex().add({ ...revocation('key'), digest: 'h4ck' }, NOW);
    expect(add).toThrow(TypeError);
    expect(add).not.toThrow(/h4ck/);
  });
});

describe('eras', () => {
  it.each(KINDS)('of %s', (kind) => {
    const isEra = ['subject', 'version', 'others', 'everything'].includes(kind);
    expect(indexOf(revocation(kind)).latestEra).toBe(isEra ? NOW : 0);
  });

  it('are remembered of what had ended, and never go back', () => {
    const index = indexOf(revocation('subject', { since: NOW + 7, until: NOW }));
    expect([index.latestEra, index.size]).toEqual([NOW + 7, 0]);
    index.add(revocation('everything', { since: NOW + 6 }), NOW);
    index.add(revocation('version', { since: NOW }), NOW);
    expect(index.latestEra).toBe(NOW + 7);
    index.sweep(NOW + 2 * DAY);
    expect(index.latestEra).toBe(NOW + 7);
  });

  it('are exact, however many are opened within one millisecond', () => {
    const index = new RevocationIndex();
    for (let era = NOW; era < NOW + 1_000; era++) {
      index.add(revocation('subject', { since: era }), NOW);
      expect(index.find('subject', DIGEST, NOW)).toBe(era);
    }
  });
});

it('an exemption has the end that came with the later era', () => {
  const index = indexOf(revocation('exemption', { since: NOW, until: UNTIL + DAY }));
  index.add(revocation('exemption', { since: NOW + 1 }), NOW);
  expect([...index.held(NOW)]).toEqual([revocation('exemption', { since: NOW + 1 })]);
});

it.each([
  ['key', 400],
  ['everything', 400],
  ['before', 400],
] as const)('%s may last for %i days', (kind, days) => {
  const index = indexOf(revocation(kind, { until: NOW + days * DAY }));
  const [held] = index.held(NOW);
  expect(held?.until).toBe(NOW + days * DAY);
  index.sweep(NOW + days * DAY - 1);
  expect(answers(index, NOW + days * DAY - 1)).toEqual({ [kind]: NOW });
  expect(answers(index, NOW + days * DAY)).toEqual({});
});

it('reckons with the whole milliseconds of a clock that has fractions', () => {
  const index = new RevocationIndex();
  for (const kind of KINDS) index.add(revocation(kind, { since: NOW - 1 }), NOW + 0.75);
  const all = Object.fromEntries(KINDS.map((kind) => [kind, NOW - 1]));
  for (const fraction of [0, 0.1, 0.5, 0.999]) expect(answers(index, NOW + fraction)).toEqual(all);
  expect(KINDS.every((kind) => index.holds(revocation(kind, { since: NOW - 1 }), NOW + 0.3))).toBe(
    true,
  );
  const held = [...index.held(NOW + 0.6)];
  expect(held).toHaveLength(KINDS.length);
  expect(held.map(({ since }) => since)).toEqual(KINDS.map(() => NOW - 1));
});

it('counts each kind, and all', () => {
  const index = indexOf(...KINDS.map((kind) => revocation(kind)));
  index.add({ ...revocation('session'), digest: digestEndingIn(1) }, NOW);
  expect(TABLED.map((kind) => index.sizeOf(kind))).toEqual([1, 2, 1, 1, 1, 1]);
  expect(index.size).toBe(KINDS.length + 1);
});

it('gives the broadest first, and everything once', () => {
  const all = KINDS.map((kind) => revocation(kind));
  const held = [...indexOf(...all).held(NOW)];
  expect(held).toHaveLength(all.length);
  expect(new Set(held.map(({ kind }) => kind))).toEqual(new Set(KINDS));
  expect(held.slice(0, 3).map(({ kind }) => kind)).toEqual(
    expect.arrayContaining(['key', 'everything', 'before']),
  );
});

it('what it holds makes another index that holds the same', () => {
  const index = indexOf(...KINDS.map((kind) => revocation(kind)));
  for (let number = 0; number < 1_000; number++) {
    const until = NOW + HOUR + number * 1_234;
    index.add({ kind: 'token', digest: digestEndingIn(number), since: NOW - number, until }, NOW);
  }
  const held = [...index.held(NOW)];
  const other = indexOf(...held);
  expect(held.every((one) => other.holds(one, NOW))).toBe(true);
  expect([...other.held(NOW)]).toHaveLength(KINDS.length + 1_000);
  expect(other.size).toBe(index.size);
});

describe('sweeping', () => {
  it('comes to every kind, however much there is of others', () => {
    const index = new RevocationIndex();
    for (let number = 0; number < 60_000; number++) {
      index.add(
        { ...revocation('token', { until: NOW + DAY }), digest: digestEndingIn(number) },
        NOW,
      );
    }
    for (const kind of KINDS) index.add(revocation(kind, { until: NOW + HOUR }), NOW);
    for (const kind of TABLED) {
      index.add({ ...revocation(kind, { until: NOW + DAY }), digest: digestEndingIn(1) }, NOW);
    }
    const later = NOW + HOUR + UNTIL_STEP;
    for (let turn = 0; turn < 100; turn++) index.sweep(later);
    expect(index.size).toBe(60_000 + TABLED.length - 1);
  });

  it('reaches thousands of keys', () => {
    const index = new RevocationIndex();
    for (let number = 0; number < 5_000; number++) {
      const until = NOW + (number % 2 === 0 ? HOUR : 300 * DAY);
      index.add({ ...revocation('key', { until }), digest: digestEndingIn(number) }, NOW);
    }
    for (let turn = 0; turn < 20; turn++) index.sweep(NOW + DAY);
    expect(index.size).toBe(2_500);
    expect(index.findKey(digestEndingIn(1), NOW + DAY)).toBe(NOW);
    expect(index.findKey(digestEndingIn(2), NOW + DAY)).toBeUndefined();
  });
});
