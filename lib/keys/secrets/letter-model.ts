import { LETTER_STATISTICS } from './letter-statistics.data.js';
import { letterMeantBy, likelihoodOfSign } from './letter-substitutes.js';

/**
 * How likely a byte is to go on a word, from how often its letter follows two others in the words and
 * passwords of several languages. Digits and signs that stand for letters count as those.
 */

/** The letters and, as 0, everything else. */
const LETTERS = 27;

/** The step in which the statistics are written, in bits (test/keys/weak-secrets). */
const BITS_PER_STEP = 0.7;

/** How often a capital in the middle of a word begins the next one: LikeThis. */
const CAPITAL = 0.12;

/** The bet on a byte that stands between words: the usual signs, a digit, any other printable sign. */
const BETWEEN = Float64Array.from({ length: 256 }, (_none, byte) => {
  const sign = String.fromCharCode(byte);
  if (sign === ' ') return 0.2;
  if (sign === '-' || sign === '_') return 0.14;
  if (sign === '.') return 0.05;
  if (/[0-9]/.test(sign)) return 0.03;
  return /[!-~]/.test(sign) && !/[A-Za-z]/.test(sign) ? 0.005 : 0;
});

/** How the case of the byte, and the disguise of its letters, are taken into account. */
export interface WordHabits {
  /** The share of its case where a word begins. */
  readonly first: number;
  /** The share of its case within a word. */
  readonly inner: number;
  /** The share of letters that are written as another sign, of those that can be. */
  readonly disguise: number;
}

/** How likely the byte at `at` is; `folded` is `raw` with its letters in lower case. */
export function likelihoodOfLetter(
  { raw, folded }: { readonly raw: Buffer; readonly folded: Buffer },
  at: number,
  { inner, disguise }: WordHabits,
): number {
  const table = statistics();
  const byte = folded[at] ?? 0;
  const last = symbolAt(folded, at - 1);
  const running = isLower(raw, at - 1);
  if (running && raw[at] !== byte) return CAPITAL * (table[letterOf(byte)] ?? 0);
  // Where a capital has just begun a word, the letter before it tells nothing.
  const begun = isLower(raw, at - 2) && last > 0 && raw[at - 1] !== folded[at - 1];
  const row = ((begun ? 0 : symbolAt(folded, at - 2)) * LETTERS + last) * LETTERS;
  const letter = likelihoodOfSign(byte, disguise, (meant) => table[row + letterOf(meant)] ?? 0);
  const between = (table[row] ?? 0) * betweenWords(byte);
  if (running) return (1 - CAPITAL) * (letter + between);
  return letter * inner + between;
}

/** The bet on a byte that stands between words. */
export function betweenWords(byte: number): number {
  return BETWEEN[byte] ?? 0;
}

/** The symbol a byte counts as once it is part of a word. */
function symbolAt(folded: Buffer, at: number): number {
  const byte = at < 0 ? 0 : (folded[at] ?? 0);
  const letter = letterOf(byte);
  if (letter > 0) return letter;
  const inWord = at > 0 && letterOf(folded[at - 1] ?? 0) > 0;
  return inWord ? letterOf(letterMeantBy(byte)) : 0;
}

function letterOf(byte: number): number {
  return byte >= 0x61 && byte <= 0x7a ? byte - 0x60 : 0;
}

function isLower(bytes: Buffer, at: number): boolean {
  return at >= 0 && letterOf(bytes[at] ?? 0) > 0;
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
