import type { SenderRequest } from '../sender-request.js';
import type { Appearance, TraitReader } from './trait-reader.js';

/** An answer, or the one that is being found. */
type Answer<Verdict> = Verdict | Promise<Verdict>;

interface Seen<Verdict> {
  appearance: Appearance | undefined;
  /** What the appearance means. */
  readonly meaning: string;
  answer: Answer<Verdict>;
}

/** An owner looks in one or two ways; one who looks in many is asked for anew. */
const MAX_SENDERS = 4;

/**
 * The senders that one token was shown by lately, with the verdict on each, in this process and for as
 * long as the token is in its memory. What they showed is compared as it came, which costs least.
 */
export class SeenSenders<Verdict> {
  readonly #senders: Seen<Verdict>[] = [];

  constructor(private readonly reader: TraitReader) {}

  /** `undefined` for one that looks like none of them. */
  find(request: SenderRequest): Answer<Verdict> | undefined {
    for (const { appearance, answer } of this.#senders) {
      if (appearance !== undefined && this.reader.looksLike(request, appearance)) return answer;
    }
    return undefined;
  }

  /** The verdict on one who looks otherwise and may yet be the same, or else the one that is found. */
  judge(request: SenderRequest, meaning: string, find: () => Answer<Verdict>): Answer<Verdict> {
    const appearance = this.reader.appearanceOf(request);
    const known = this.#senders.find((seen) => seen.meaning === meaning);
    if (known !== undefined) {
      known.appearance = appearance;
      return known.answer;
    }
    const answer = find();
    const seen: Seen<Verdict> = { appearance, meaning, answer };
    if (this.#senders.length === MAX_SENDERS) this.#senders.shift();
    this.#senders.push(seen);
    if (answer instanceof Promise) void this.#settle(seen, answer);
    return answer;
  }

  async #settle(seen: Seen<Verdict>, answer: Promise<Verdict>): Promise<void> {
    try {
      seen.answer = await answer;
    } catch {
      // Whoever asked hears of it. Nothing is known: the next request asks again.
      const index = this.#senders.indexOf(seen);
      if (index >= 0) this.#senders.splice(index, 1);
    }
  }
}
