import { EXPERTS, type GuessText } from './guess-experts.js';
import { WordReader } from './word-model.js';

/**
 * How many bits it takes to write a secret down for someone who knows how people make secrets up.
 *
 * Several experts bet on every byte, and those that were right so far bet more. What they bet
 * together is a probability distribution over all texts of one length, so that at most 2^n of them
 * take n bits or fewer (Kraft's inequality). A secret drawn from 2^256 equally likely ones therefore
 * takes fewer than 256 - k bits with a probability below 2^-k: whatever the encoding, and however
 * much or little the experts know. This bounds the good secrets that are refused, by proof.
 */

/** What lies behind is not looked at: by then the description is long enough, or never will be. */
const MAX_BYTES = 1024;

/** How ready the weights are to move to another expert; a move costs about 9 bits. */
const SHARE = 0.04;

/**
 * The length of the description of `bytes`, in bits.
 * @param enough where to stop counting, as the length only grows
 */
export function descriptionBits(bytes: Buffer, enough = Number.POSITIVE_INFINITY): number {
  const text = readText(bytes.subarray(0, MAX_BYTES));
  const share = 1 / EXPERTS.length;
  const weights = new Float64Array(EXPERTS.length).fill(share);
  const bets = new Float64Array(EXPERTS.length);
  let bits = 0;
  for (let at = 0; at < text.raw.length && bits < enough; at++) {
    let total = 0;
    for (let one = 0; one < EXPERTS.length; one++) {
      const bet = (EXPERTS[one]?.(text, at) ?? 0) * (weights[one] ?? 0);
      bets[one] = bet;
      total += bet;
    }
    bits -= Math.log2(total);
    for (let one = 0; one < EXPERTS.length; one++) {
      weights[one] = ((1 - SHARE) * (bets[one] ?? 0)) / total + SHARE * share;
    }
  }
  return bits;
}

function readText(raw: Buffer): GuessText {
  const folded = Buffer.from(
    raw.map((byte) => (byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte)),
  );
  return { raw, folded, words: new WordReader(folded) };
}
