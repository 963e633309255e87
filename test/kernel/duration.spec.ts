import * as fc from 'fast-check';

import { durationToMs, formatDuration } from '../../lib/kernel/duration.js';

const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

describe('durationToMs', () => {
  it.each([
    ['0s', 0],
    ['1ms', 1],
    ['90s', 90_000],
    ['15m', 900_000],
    ['1h', 3_600_000],
    ['30d', 2_592_000_000],
    ['007s', 7_000],
    ['999999999999ms', 999_999_999_999],
    // The last whole day below Number.MAX_SAFE_INTEGER: beyond it sums stop being exact.
    ['104249991d', 9_007_199_222_400_000],
  ])('reads %j', (text, ms) => {
    expect(durationToMs(text)).toBe(ms);
  });

  it.each([
    ['a bare number: seconds and milliseconds look alike', 900],
    ['a bare number in text', '900'],
    ['an empty text', ''],
    ['a unit alone', 'm'],
    ['white space before', ' 15m'],
    ['white space between', '15 m'],
    ['white space after', '15m '],
    ['a newline after', '15m\n'],
    ['a sign', '+15m'],
    ['a negative length', '-15m'],
    ['a fraction', '1.5h'],
    ['an exponent', '1e3s'],
    ['a hexadecimal number', '0x10s'],
    ['a group separator', '1_000s'],
    ['an upper-case unit', '15M'],
    ['a unit in words', '15min'],
    ['weeks, which are not on offer', '2w'],
    ['two lengths', '1h30m'],
    ['ISO 8601', 'PT15M'],
    ['digits that are not ASCII', '١٥m'],
    ['full-width digits', '１５m'],
    ['infinity', 'Infinitys'],
    ['more digits than any length needs', '1000000000000ms'],
    ['more milliseconds than are exact', '104249992d'],
    ['a boxed text', Object('15m')],
    ['a list of one', ['15m']],
    ['an object that reads as one', { toString: () => '15m' }],
    ['null', null],
    ['undefined', undefined],
    ['true', true],
    ['a bigint', 900n],
    ['a symbol', Symbol('15m')],
  ])('refuses %s', (_rule, value: unknown) => {
    expect(durationToMs(value)).toBeUndefined();
  });

  it('is the number times the unit for every number that stays exact', () => {
    fc.assert(
      fc.property(
        fc.nat({ max: 999_999_999_999 }),
        fc.constantFrom(...(Object.keys(UNITS) as (keyof typeof UNITS)[])),
        (count, unit) => {
          const ms = count * UNITS[unit];
          const expected = ms <= Number.MAX_SAFE_INTEGER ? ms : undefined;
          expect(durationToMs(`${count}${unit}`)).toBe(expected);
        },
      ),
      { numRuns: 2_000 },
    );
  });

  it('answers for any value whatever, and only with a whole number of milliseconds', () => {
    fc.assert(
      fc.property(fc.oneof(fc.anything(), fc.string()), (value) => {
        const ms = durationToMs(value);
        expect(ms === undefined || (Number.isSafeInteger(ms) && ms >= 0)).toBe(true);
      }),
    );
  });
});

describe('formatDuration', () => {
  it.each([
    [0, '0ms'],
    [1, '1ms'],
    [999, '999ms'],
    [1_000, '1s'],
    [90_000, '90s'],
    [900_000, '15m'],
    [3_600_000, '1h'],
    [5_400_000, '90m'],
    [86_400_000, '1d'],
    [90_000_000, '25h'],
    [2_592_000_000, '30d'],
  ])('writes %d ms as %s, the largest unit that is exact', (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });

  it('writes what durationToMs reads back', () => {
    fc.assert(
      fc.property(
        fc.nat({ max: 999_999_999_999 }),
        fc.constantFrom(...Object.values(UNITS)),
        (ms, unit) => {
          const whole = ms - (ms % unit);
          expect(durationToMs(formatDuration(whole))).toBe(whole);
        },
      ),
      { numRuns: 2_000 },
    );
  });
});
