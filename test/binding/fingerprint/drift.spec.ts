import * as fc from 'fast-check';

import { driftFrom, responseTo } from '../../../lib/binding/fingerprint/drift.js';
import { type TraitValues, TRAITS } from '../../../lib/binding/fingerprint/fingerprint-claim.js';
import {
  RESPONSES,
  SIGNALS,
  type SignalWeights,
} from '../../../lib/binding/fingerprint/fingerprint-config.js';
import { TraitDigests } from '../../../lib/binding/fingerprint/trait-digests.js';
import { configOf, newSecrets } from './sender-mother.js';

const digests = new TraitDigests(newSecrets());

function driftOf(before: TraitValues, values: TraitValues, weights = configOf().weights) {
  const claim = digests.claimOf(before);
  const digest = digests.of(claim);
  if (digest === undefined) throw new Error('not our claim');
  return driftFrom(claim, digest, { values, weights });
}

const value = fc.constantFrom('9', '10', '30', null);
const values = fc.record(Object.fromEntries(TRAITS.map((trait) => [trait, value])));
const someTraits = fc.subarray([...TRAITS]);
const weight = fc.option(fc.integer({ min: 1, max: 100 }));
const weights = fc.record(
  Object.fromEntries(SIGNALS.map((signal) => [signal, weight])),
) as fc.Arbitrary<SignalWeights>;

function changedIn(before: TraitValues, after: TraitValues, traits: readonly string[]) {
  const changed = Object.entries(after).filter(([trait]) => traits.includes(trait));
  return { ...before, ...Object.fromEntries(changed) };
}

describe('a score', () => {
  it('never falls when one more trait is another, and neither does what is done', () => {
    fc.assert(
      fc.property(
        values,
        values,
        someTraits,
        someTraits,
        weights,
        (before, after, few, more, w) => {
          const less = driftOf(before, changedIn(before, after, few), w);
          const all = driftOf(before, changedIn(before, after, [...few, ...more]), w);
          expect(all.score).toBeGreaterThanOrEqual(less.score);
          expect(all.signals).toEqual(expect.arrayContaining([...less.signals]));
          const [least, most] = [less, all].map(({ score }) =>
            RESPONSES.indexOf(responseTo(score, { note: 40, stepUp: 80, refuse: 120 })),
          );
          expect(most).toBeGreaterThanOrEqual(least ?? 0);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('counts what two traits say of one signal once', () => {
    expect(driftOf({ o: 'macos', p: 'macos' }, { o: 'linux', p: 'linux' })).toMatchObject({
      signals: ['platform'],
      score: 25,
    });
  });

  it.each<[before: TraitValues, values: TraitValues, score: number]>([
    [{ v: '141' }, { v: '141' }, 0],
    [{ v: '141' }, { v: '142' }, 5],
    [{ v: '141' }, { v: '155' }, 5],
    [{ v: '141' }, { v: '156' }, 20],
    [{ v: '141' }, { v: '140' }, 20],
    [{ v: '0' }, { v: '3' }, 5],
    [{ v: '141' }, { v: null }, 20],
    [{ v: null }, { v: '141' }, 20],
    [{ p: 'macos' }, { p: null }, 7],
    [{ p: null }, { p: 'macos' }, 0],
    [{ m: '?1' }, { m: '?0' }, 10],
    [{ m: '?1' }, { m: null }, 3],
    [{ l: 'de', a: 'de' }, { l: 'de', a: 'de,en' }, 5],
    [{ l: 'de', a: 'de' }, { l: 'en', a: 'en' }, 20],
    [{ l: 'de', a: 'de' }, { l: null, a: null }, 20],
    [{ c: 'one' }, { c: 'other' }, 30],
    [{ c: 'one' }, { c: null }, 30],
    [{ c: null }, { c: 'one' }, 0],
    [{ n: '203.0.113.0/24' }, { n: null }, 20],
    [{ n: null }, { n: '203.0.113.0/24' }, 20],
    [{ b: null }, { b: 'chrome' }, 50],
    [{ b: 'chrome' }, { b: null }, 50],
    // A text that spells how absence is told is not absent.
    [{ b: '' }, { b: null }, 50],
    [{ i: '203.0.113.7/32' }, { i: '203.0.113.8/32' }, 0],
  ])('of %j that became %j is %d', (before, after, score) => {
    expect(driftOf(before, after).score).toBe(score);
  });

  it('tells nothing from a trait that only one of them has', () => {
    expect(driftOf({ b: 'chrome', l: 'de' }, { b: 'chrome', n: '203.0.113.0/24' })).toEqual({
      isComparable: true,
      signals: [],
      score: 0,
      addressChanged: false,
    });
    expect(driftOf({ b: 'chrome' }, { n: '203.0.113.0/24' }).isComparable).toBe(false);
  });
});

describe('what is done about a score', () => {
  const { thresholds } = configOf();

  it.each([
    [0, 'pass'],
    [19, 'pass'],
    [20, 'note'],
    [39, 'note'],
    [40, 'stepUp'],
    [79, 'stepUp'],
    [80, 'refuse'],
    [175, 'refuse'],
  ])('of %d is %s', (score, response) => {
    expect(responseTo(score, thresholds)).toBe(response);
  });

  it('is the next lower where a threshold is left out', () => {
    expect(responseTo(175, { ...thresholds, refuse: null })).toBe('stepUp');
    expect(responseTo(50, { ...thresholds, stepUp: null })).toBe('note');
    expect(responseTo(175, { note: null, stepUp: null, refuse: null })).toBe('pass');
  });
});
