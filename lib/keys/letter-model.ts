import { LETTER_STATISTICS } from './letter-statistics.data.js';

/**
 * How likely a byte is to go on a word, from how often its letter follows two others in the words and
 * passwords of several languages. Digits and signs that stand for letters count as those.
 */

/** The letters and, as 0, everything else. */
const LETTERS = 27;

/** The step in which the statistics are written, in bits (test/keys/weak-secrets). */
const BITS_PER_STEP = 0.7;

/** Which letter a byte is written for, and what that costs. */
const LEET: ReadonlyMap<number, number> = new Map(
  Object.entries({
    0: 'o',
    1: 'i',
    3: 'e',
    4: 'a',
    5: 's',
    7: 't',
    '@': 'a',
    $: 's',
    '!': 'i',
  }).map(([sign, letter]) => [sign.charCodeAt(0), letter.charCodeAt(0)]),
);
const LEET_SHARE = 0.1;
const SIGNS_OF = new Map<number, number>();
for (const letter of LEET.values()) SIGNS_OF.set(letter, (SIGNS_OF.get(letter) ?? 0) + 1);

/** What stands between words: the usual signs, a digit, any other printable sign. */
const BETWEEN: ReadonlyMap<string, number> = new Map([
  [' ', 0.2],
  ['-', 0.14],
  ['_', 0.14],
  ['.', 0.05],
]);
const DIGIT = 0.03;
const OTHER_SIGN = 0.005;

/** How likely the byte at `at` is; `folded` has its letters in lower case. */
export function likelihoodOfLetter(folded: Buffer, at: number): number {
  const table = statistics();
  const row = (symbolBefore(folded, at - 2) * LETTERS + symbolBefore(folded, at - 1)) * LETTERS;
  const byte = folded[at] ?? 0;
  const between = (table[row] ?? 0) * betweenWords(byte);
  return between + likelihoodOfSign(byte, (letter) => table[row + letterOf(letter)] ?? 0);
}

/** The bet on a byte, from the bets on the letters: as itself, or as the sign written for one. */
export function likelihoodOfSign(byte: number, shareOf: (letter: number) => number): number {
  if (letterOf(byte) > 0) return (SIGNS_OF.has(byte) ? 1 - LEET_SHARE : 1) * shareOf(byte);
  const meant = LEET.get(byte);
  return meant === undefined ? 0 : (LEET_SHARE / (SIGNS_OF.get(meant) ?? 1)) * shareOf(meant);
}

/** The letter a sign is written for, if it is one that is. */
export function signMeaning(byte: number): number | undefined {
  return LEET.get(byte);
}

/** The bet on a byte that stands between words. */
export function betweenWords(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return DIGIT;
  const share = BETWEEN.get(String.fromCharCode(byte));
  if (share !== undefined) return share;
  return byte >= 0x21 && byte <= 0x7e && letterOf(byte | 0x20) === 0 ? OTHER_SIGN : 0;
}

/** The symbol a byte counts as once it is part of a word. */
function symbolBefore(folded: Buffer, at: number): number {
  const byte = at < 0 ? 0 : (folded[at] ?? 0);
  const letter = letterOf(byte);
  if (letter > 0) return letter;
  const meant = LEET.get(byte);
  const inWord = at > 0 && letterOf(folded[at - 1] ?? 0) > 0;
  return meant !== undefined && inWord ? letterOf(meant) : 0;
}

function letterOf(byte: number): number {
  return byte >= 0x61 && byte <= 0x7a ? byte - 0x60 : 0;
}

let decoded: Float64Array | undefined;

/** The table of probabilities, made when first needed. Every row adds up to 1. */
function statistics(): Float64Array {
  if (decoded !== undefined) return decoded;
  const packed = Buffer.from(LETTER_STATISTICS.data.join(''), 'base64');
  const table = new Float64Array(LETTERS ** 3);
  for (let at = 0; at < table.length; at++) {
    const byte = packed[at >> 1] ?? 0;
    const steps = at % 2 === 0 ? byte >> 4 : byte & 0xf;
    table[at] = 2 ** (-steps * BITS_PER_STEP);
  }
  for (let row = 0; row < table.length; row += LETTERS) {
    const entries = table.subarray(row, row + LETTERS);
    const sum = entries.reduce((total, entry) => total + entry, 0);
    entries.forEach((entry, at) => (entries[at] = entry / sum));
  }
  decoded = table;
  return table;
}
