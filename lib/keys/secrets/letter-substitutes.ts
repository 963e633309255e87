/** Signs and digits that people write for letters, in the hope that nobody thinks of it. */

const SUBSTITUTES: readonly (readonly [letter: string, signs: string])[] = [
  ['a', '4@'],
  ['b', '8'],
  ['e', '3'],
  ['g', '69'],
  ['i', '1!'],
  ['l', '|'],
  ['o', '0'],
  ['s', '5$'],
  ['t', '7+'],
];

/** By sign, the letter; by letter, how many signs; 0 for none. */
const LETTER_OF = new Uint8Array(256);
const SIGNS_OF = new Uint8Array(256);
for (const [letter, signs] of SUBSTITUTES) {
  SIGNS_OF[letter.charCodeAt(0)] = signs.length;
  for (const sign of Buffer.from(signs)) LETTER_OF[sign] = letter.charCodeAt(0);
}

/** The letter a sign is written for; 0 if it is no such sign. */
export function letterMeantBy(byte: number): number {
  return LETTER_OF[byte] ?? 0;
}

/**
 * The bet on a byte, from the bets on the letters: as the letter itself, or as a sign written for
 * one. `disguise` is the share of letters that are disguised so, of those that can be.
 */
export function likelihoodOfSign(
  byte: number,
  disguise: number,
  shareOf: (letter: number) => number,
): number {
  if (byte >= 0x61 && byte <= 0x7a) {
    return (SIGNS_OF[byte] === 0 ? 1 : 1 - disguise) * shareOf(byte);
  }
  const meant = LETTER_OF[byte] ?? 0;
  return meant === 0 ? 0 : (disguise / (SIGNS_OF[meant] ?? 1)) * shareOf(meant);
}
