import * as fc from 'fast-check';

import { secretsEqual } from '../../lib/kernel/constant-time.js';

describe('secretsEqual', () => {
  it.each([
    ['equal texts', 'correct horse', 'correct horse'],
    ['empty texts', '', ''],
    ['equal texts of any alphabet', 'pä55wörd \u{1f511}', 'pä55wörd \u{1f511}'],
    ['equal long texts', 'a'.repeat(100_000), 'a'.repeat(100_000)],
  ])('is true for %s', (_rule, a, b) => {
    expect(secretsEqual(a, b)).toBe(true);
  });

  it.each([
    ['a difference in the first character', 'Xorrect', 'correct'],
    ['a difference in the last character', 'correcX', 'correct'],
    ['a prefix', 'correct', 'correct horse'],
    ['the empty text', '', 'a'],
    ['letter case', 'correct', 'Correct'],
    ['a trailing NUL', 'correct', 'correct\u0000'],
    ['a trailing space', 'correct', 'correct '],
    ['two spellings of one letter (no normalisation)', 'é', 'e\u0301'],
    ['two lone surrogates, which UTF-8 cannot tell apart', '\ud800', '\ud801'],
    ['a lone surrogate and the replacement character', '\ud800', '\ufffd'],
    ['a surrogate pair and its halves swapped', '\ud83d\udd11', '\udd11\ud83d'],
  ])('is false for %s', (_rule, a, b) => {
    expect(secretsEqual(a, b)).toBe(false);
    expect(secretsEqual(b, a)).toBe(false);
  });

  it('agrees with === on any two texts', () => {
    const text = fc.string({ unit: 'binary', maxLength: 40 });
    const pair = fc.oneof(
      fc.tuple(text, text),
      text.map((same) => [same, same] as const),
      fc.tuple(text, fc.nat({ max: 39 }), text).map(([base, at, insert]) => {
        return [base, base.slice(0, at) + insert + base.slice(at)] as const;
      }),
    );
    fc.assert(
      fc.property(pair, ([a, b]) => {
        expect(secretsEqual(a, b)).toBe(a === b);
      }),
      { numRuns: 3_000 },
    );
  });
});

type Comparison = (a: string, b: string) => boolean;

const LENGTH = 4_096;
const SECRET = 's'.repeat(LENGTH);
const DIFFERS_FIRST = `X${SECRET.slice(1)}`;
const DIFFERS_LAST = `${SECRET.slice(1)}X`;

/** Stops at the first difference: what an attacker hopes for. */
const naive: Comparison = (a, b) => {
  for (let at = 0; at < a.length; at++) if (a.charCodeAt(at) !== b.charCodeAt(at)) return false;
  return a.length === b.length;
};

function nanosecondsOf(compare: Comparison, guess: string): number {
  const start = process.hrtime.bigint();
  compare(guess, SECRET);
  return Number(process.hrtime.bigint() - start);
}

/** Without the slowest tenth: interruptions by other processes, not by the comparison. */
function trimmed(samples: readonly number[]): readonly number[] {
  return samples.toSorted((a, b) => a - b).slice(0, Math.floor(samples.length * 0.9));
}

function meanAndError(samples: readonly number[]): { mean: number; squaredError: number } {
  const mean = samples.reduce((sum, sample) => sum + sample, 0) / samples.length;
  const squares = samples.reduce((sum, sample) => sum + (sample - mean) ** 2, 0);
  return { mean, squaredError: squares / (samples.length - 1) / samples.length };
}

/** Welch's t for "a late difference takes longer than an early one", samples interleaved. */
function welchT(compare: Comparison): number {
  const early: number[] = [];
  const late: number[] = [];
  for (let round = 0; round < 4_000; round++) {
    // Each pair in the other order, so that what the first call warms up helps both alike.
    if (round % 2 === 0) early.push(nanosecondsOf(compare, DIFFERS_FIRST));
    late.push(nanosecondsOf(compare, DIFFERS_LAST));
    if (round % 2 === 1) early.push(nanosecondsOf(compare, DIFFERS_FIRST));
  }
  const a = meanAndError(trimmed(early));
  const b = meanAndError(trimmed(late));
  return (b.mean - a.mean) / Math.sqrt(a.squaredError + b.squaredError);
}

/** Welch's t of attempts until one of them satisfies: noise comes and goes, a leak stays. */
function attemptUntil(compare: Comparison, satisfies: (t: number) => boolean): number {
  let t = welchT(compare);
  for (let attempt = 1; attempt < 6 && !satisfies(t); attempt++) t = welchT(compare);
  return t;
}

describe('the time secretsEqual takes', () => {
  it('does not tell an early difference from a late one', () => {
    const t = attemptUntil(secretsEqual, (found) => Math.abs(found) < 6);
    expect(Math.abs(t)).toBeLessThan(6);
  });

  it('would be told from that of a comparison that stops early: the measurement sees a leak', () => {
    expect(attemptUntil(naive, (found) => found > 6)).toBeGreaterThan(6);
  });
});
