import { predictKeys } from './keyboard-walks.js';
import { likelihoodOfLetter, type WordHabits } from './letter-model.js';
import type { WordReader } from './word-model.js';

/**
 * The experts of the guess model. Each knows one habit of people who make up a secret, and says how
 * likely the byte at `at` is to one who has seen the bytes before it. Each must spread at most 1 over
 * the 256 bytes there are, or the bound in guess-model.ts is void.
 */

/** A text that is being guessed. */
export interface GuessText {
  readonly raw: Buffer;
  /** The same with its ASCII letters in lower case. */
  readonly folded: Buffer;
  readonly words: WordReader;
}

export type GuessExpert = (text: GuessText, at: number) => number;

interface ByteClass {
  readonly has: (byte: number) => boolean;
  readonly size: number;
}

const between =
  (first: number, last: number) =>
  (byte: number): boolean =>
    byte >= first && byte <= last;

const isLower = between(0x61, 0x7a);
const isUpper = between(0x41, 0x5a);
const isDigit = between(0x30, 0x39);
const isPrintable = between(0x20, 0x7e);

const CLASSES: readonly ByteClass[] = [
  { has: isLower, size: 26 },
  { has: isUpper, size: 26 },
  { has: isDigit, size: 10 },
  {
    has: (byte) => isPrintable(byte) && !isLower(byte) && !isUpper(byte) && !isDigit(byte),
    size: 33,
  },
  { has: (byte) => !isPrintable(byte), size: 161 },
];
const CLASS_OF = Uint8Array.from({ length: 256 }, (_none, byte) =>
  CLASSES.findIndex(({ has }) => has(byte)),
);
const CLASS_SIZE = CLASSES.map(({ size }) => size);

/** How sure to be of a repetition after 0, 1, 2, … bytes that were the same. */
const REPEAT_TRUST = [0, 0.15, 0.4, 0.75, 0.9, 0.95, 0.97];

/** No step of a sequence. */
const FAR = 256;

const uniform: GuessExpert = () => 1 / 256;

/** All characters of one alphabet alike. */
const alphabet = (characters: string): GuessExpert => {
  const share = 1 / characters.length;
  const bytes = new Set(Buffer.from(characters));
  return ({ raw }, at) => (bytes.has(byteAt(raw, at)) ? share : 0);
};

/** The bytes that occurred often. */
const favourites: GuessExpert = ({ raw }, at) => {
  const byte = byteAt(raw, at);
  let count = 0;
  for (let past = 0; past < at; past++) if (raw[past] === byte) count++;
  return (count + 0.04) / (at + 0.04 * 256);
};

/** The classes that occurred often, and any byte of them. */
const mixture: GuessExpert = ({ raw }, at) => {
  const own = classAt(raw, at);
  let count = 0;
  for (let past = 0; past < at; past++) if (classAt(raw, past) === own) count++;
  return (count + 0.5) / (at + 2.5) / (CLASS_SIZE[own] ?? 256);
};

/** Runs of one class. */
const runs: GuessExpert = ({ raw }, at) => {
  const own = classAt(raw, at);
  if (at === 0) return 1 / 5 / (CLASS_SIZE[own] ?? 256);
  return (own === classAt(raw, at - 1) ? 0.84 : 0.04) / (CLASS_SIZE[own] ?? 256);
};

/** What stood after the longest stretch that is the same as the one before this byte. */
const repetition: GuessExpert = ({ raw, folded }, at) => {
  let longest = 0;
  let source = -1;
  for (let end = at - 1; end > 0; end--) {
    let length = 0;
    while (length < end && folded[end - 1 - length] === folded[at - 1 - length]) length++;
    if (length > longest) {
      longest = length;
      source = end;
    }
  }
  if (source < 0 || folded[source] !== folded[at]) return 0;
  const trust = REPEAT_TRUST[Math.min(longest, REPEAT_TRUST.length - 1)] ?? 0;
  if (!isLower(byteAt(folded, at))) return trust;
  return raw[source] === raw[at] ? trust * 0.85 : trust * 0.15;
};

/** The next or the previous one, or the same again, `lag` places on: 1234, aabbcc, a1b2c3. */
const sequence =
  (lag: number): GuessExpert =>
  (text, at) => {
    const { folded } = text;
    if (at < lag) return 0;
    const byte = byteAt(folded, at);
    const last = byteAt(folded, at - lag);
    const step = at < 2 * lag ? FAR : stepFrom(byteAt(folded, at - 2 * lag), last);
    const now = stepFrom(last, byte);
    if (now > 1 || now < -1) return 0;
    const trust = step >= -1 && step <= 1 ? (now === step ? 0.85 : 0.05) : 0.2;
    return trust * caseShare(text, at);
  };

/** A walk over a keyboard, on every `lag`th place. */
const keyboard =
  (layout: number, lag: number): GuessExpert =>
  (text, at) => {
    const { folded } = text;
    if (at < lag) return 0;
    const before = at < 2 * lag ? undefined : byteAt(folded, at - 2 * lag);
    const found = predictKeys(layout, before, byteAt(folded, at - lag), byteAt(folded, at));
    return found === 0 ? 0 : found * caseShare(text, at);
  };

/** Letters as they follow each other in words; some or most of them hidden behind other signs. */
const letters =
  (disguise: number): GuessExpert =>
  (text, at) =>
    likelihoodOfLetter(text, at, habits(text, at, disguise));

/** Common words, one after the other, hidden in the same way. */
const words =
  (disguise: number): GuessExpert =>
  (text, at) =>
    text.words.likelihood(at, habits(text, at, disguise));

/** Every character that a popular web page for "256-bit keys" puts next, and the two it puts there. */
const WEB_PAGE =
  '!zA$BC%CD&EF(HG)JH*FG+MK-JK/AB2rs3st4tu5uv6vw7wx8xy9yz?ED@NMA%?B&?C*&D*(E()F-)G-+H+@J@aKabMbc' +
  'NcdPdeQefRfgSghThjUkjVkmWmnXpnYpqZqraPNbQPcRQdSReTSfUTgVUhWVjWXkYXmZYn2Zp23q43r54s65t76u87v98w!9' +
  'x/!y$/z%$';
const SUCCESSORS = new Map(
  WEB_PAGE.match(/.{3}/g)?.map((three) => [three.charCodeAt(0), Buffer.from(three.slice(1))]),
);

/** The keys of that page, each of which is a walk through one alphabet. */
const webPage: GuessExpert = ({ raw }, at) => {
  if (at === 0) return 0;
  return SUCCESSORS.get(byteAt(raw, at - 1))?.includes(byteAt(raw, at)) === true ? 0.5 : 0;
};

/** Every expert there is. */
export const EXPERTS: readonly GuessExpert[] = [
  uniform,
  alphabet('0123456789abcdef'),
  alphabet('0123456789ABCDEF'),
  alphabet('0123456789'),
  favourites,
  mixture,
  runs,
  repetition,
  sequence(1),
  sequence(2),
  keyboard(0, 1),
  keyboard(0, 2),
  keyboard(1, 1),
  keyboard(2, 1),
  letters(0.06),
  letters(0.6),
  words(0.06),
  words(0.6),
  webPage,
];

/** How the case of a letter divides what is bet on the letter; 1 for anything else. */
function caseShare(text: GuessText, at: number): number {
  return habits(text, at, 0).inner;
}

/** How case goes on: wordsRunOnLikeThis, or WordsRunOnLikeThis, or in ONE case. */
function habits({ raw, folded }: GuessText, at: number, disguise: number): WordHabits {
  if (!isLower(byteAt(folded, at))) return { first: 1, inner: 1, disguise };
  const upper = isUpper(byteAt(raw, at));
  const last = at === 0 ? 0 : byteAt(raw, at - 1);
  let [first, inner] = [0.4, 0.4];
  if (isLower(last)) [first, inner] = [0.5, 0.05];
  else if (isUpper(last)) {
    const running = at > 1 && isUpper(byteAt(raw, at - 2));
    [first, inner] = running ? [0.92, 0.92] : [0.4, 0.25];
  }
  return { first: upper ? first : 1 - first, inner: upper ? inner : 1 - inner, disguise };
}

/** How far apart two bytes are in the alphabet or among the digits, which are circles. */
function stepFrom(from: number, to: number): number {
  const step = to - from;
  // Beyond its end a circle goes on at its beginning, and nowhere else.
  if (isDigit(from) !== isDigit(to) || isLower(from) !== isLower(to)) return FAR;
  if (isDigit(from)) return step === 9 ? -1 : step === -9 ? 1 : step;
  if (isLower(from)) return step === 25 ? -1 : step === -25 ? 1 : step;
  return step;
}

function classAt(bytes: Buffer, at: number): number {
  return CLASS_OF[byteAt(bytes, at)] ?? 0;
}

function byteAt(bytes: Buffer, at: number): number {
  return bytes[at] ?? 0;
}
