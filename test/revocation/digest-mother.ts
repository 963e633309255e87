/** Digests for tests, the same in every run. */

// Globals are slow to reach from where Jest runs tests.
const { floor, imul } = Math;

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

/** Whole numbers from 0 up to but not including `end`, by the generator "mulberry32". */
export class SeededNumbers {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  below(end: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + imul(mixed ^ (mixed >>> 7), mixed | 61);
    return floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * end);
  }
}

/** The digest whose last characters write this number; all others are the same. */
export function digestEndingIn(number: number, filler = 'A'): string {
  return lettersOf(number).padStart(13, filler);
}

/** The same with the first characters. */
export function digestBeginningWith(number: number, filler = 'A'): string {
  return lettersOf(number).padEnd(13, filler);
}

/** Six of them, so that no two numbers look alike beside a filler. */
function lettersOf(number: number): string {
  let text = '';
  for (let rest = number; text.length < 6; rest = floor(rest / 64)) {
    text = ALPHABET.charAt(rest % 64) + text;
  }
  return text;
}

/** By 12 bits: two letters. */
const PAIRS = Array.from(
  { length: 4_096 },
  (_, bits) => ALPHABET.charAt(bits >> 6) + ALPHABET.charAt(bits & 63),
);

/** A digest for each number, without any order. */
export function scatteredDigest(number: number): string {
  let text = '';
  for (let round = 0; round < 3; round++) {
    let mixed = imul(number + round * 0x5bd1e995, 0x9e3779b1);
    mixed = imul(mixed ^ (mixed >>> 15), 0x85ebca6b);
    mixed ^= mixed >>> 13;
    text += `${PAIRS[mixed & 4_095]}${PAIRS[(mixed >>> 12) & 4_095]}`;
  }
  return `${text}${ALPHABET.charAt(number & 63)}`;
}

/** What nobody's digest is. */
export const HOSTILE_DIGESTS: readonly (readonly [what: string, digest: string])[] = [
  ['nothing', ''],
  ['a character too few', 'A'.repeat(12)],
  ['a character too many', 'A'.repeat(14)],
  ['a megabyte', 'A'.repeat(1 << 20)],
  ['base64 instead of base64url', 'AAAAAAAAAAAA+'],
  ['padding', 'AAAAAAAAAAAA='],
  ['a space', ' AAAAAAAAAAAA'],
  ['a NUL', 'AAAAAA\0AAAAAA'],
  ['a line break at the end', 'AAAAAAAAAAAA\n'],
  ['the last character below 128', 'AAAAA\u007FAAAAAAA'],
  ['a letter with 128 added', 'AAAAAAAAAA\u00C1AA'],
  ['a letter with 256 added', 'AAAAAAAAAA\u0141AA'],
  ['a letter with 65536 less', 'AAAAAAAAAA\uD800AA'],
  ['half an emoji', 'AAAAAAAAAAA\uD83D\uDE00'],
];
