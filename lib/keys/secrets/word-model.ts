import { USUAL_WORDS } from './usual-words.data.js';
import { betweenWords, type WordHabits } from './letter-model.js';
import { letterMeantBy, likelihoodOfSign } from './letter-substitutes.js';

/**
 * How likely a byte is in a text made of common words, run together or with something in between.
 * The words, and how often secrets are made of them, come from test/keys/weak-secrets.
 */

interface WordNode {
  /** The weight of all words that begin so. */
  weight: number;
  /** The weight of the word that ends here; 0 if none does. */
  ending: number;
  readonly next: Map<number, WordNode>;
}

/** After a word: something that is no word, or the next word at once. */
const BETWEEN = 0.5;

/** Where no word has begun: the share of words among what may come. */
const WORD = 0.75;

/** Bets on one text, byte after byte. */
export class WordReader {
  readonly #root = words();
  readonly #folded: Buffer;
  #node = this.#root;
  #past = 0;
  #start = 0;
  #end = 0;

  /** @param folded the text with its letters in lower case */
  constructor(folded: Buffer) {
    this.#folded = folded;
  }

  /** How likely the byte at `at` is; `at` may only grow from call to call. */
  likelihood(at: number, { first, inner, disguise }: WordHabits): number {
    const node = this.#wordBefore(at);
    const byte = this.#folded[at] ?? 0;
    const begun = first * shareOf(this.#root, byte, disguise);
    if (node === this.#root) return WORD * begun + (1 - WORD) * betweenWords(byte);
    const letter = inner * shareOf(node, byte, disguise);
    const ending = node.ending / node.weight;
    return letter + ending * (BETWEEN * betweenWords(byte) + (1 - BETWEEN) * begun);
  }

  /** How far into a word the text is before `at`. Takes the longest word, then goes on behind it. */
  #wordBefore(at: number): WordNode {
    while (this.#past < at) {
      const byte = this.#folded[this.#past] ?? 0;
      const next = this.#node.next.get(byte) ?? this.#node.next.get(letterMeantBy(byte));
      if (next !== undefined) {
        this.#node = next;
        this.#past++;
        if (next.ending > 0) this.#end = this.#past;
        continue;
      }
      // No word after all: on behind the last one that was complete, or behind the first letter.
      const behind = Math.max(this.#end, this.#start + 1);
      this.#start = this.#node === this.#root ? this.#past + 1 : behind;
      this.#node = this.#root;
      this.#past = this.#start;
      this.#end = this.#start;
    }
    return this.#node;
  }
}

/** What is bet on the letters that may follow, as themselves or as a sign written for them. */
function shareOf(node: WordNode, byte: number, disguise: number): number {
  return likelihoodOfSign(
    byte,
    disguise,
    (letter) => (node.next.get(letter)?.weight ?? 0) / node.weight,
  );
}

let tree: WordNode | undefined;

/** The tree of the words, made when first needed. */
function words(): WordNode {
  if (tree !== undefined) return tree;
  const root = newNode();
  const text = Buffer.from(USUAL_WORDS.data.join(''), 'base64').toString('latin1');
  let previous = '';
  // Each word as the number of letters it shares with the one before, its weight, and the rest.
  for (const [, kept, weight, rest] of text.matchAll(/([A-Z])([0-9])([a-z]+)/g)) {
    previous = previous.slice(0, (kept ?? 'A').charCodeAt(0) - 0x41) + (rest ?? '');
    addWord(root, previous, 2 ** Number(weight));
  }
  tree = root;
  return root;
}

function addWord(root: WordNode, word: string, weight: number): void {
  let node = root;
  node.weight += weight;
  for (const letter of Buffer.from(word)) {
    let next = node.next.get(letter);
    if (next === undefined) {
      next = newNode();
      node.next.set(letter, next);
    }
    node = next;
    node.weight += weight;
  }
  node.ending += weight;
}

function newNode(): WordNode {
  return { weight: 0, ending: 0, next: new Map() };
}
