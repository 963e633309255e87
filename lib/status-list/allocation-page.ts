import type { RevocableNames } from '../revocation/revocable-token.js';
import { formatDigest, TableDigest } from '../revocation/table-digest.js';
import type { Allocation } from './allocation-entry.js';
import type { DigestBeginnings } from './digest-beginnings.js';

/*
 * A row, in words of 32 bits: three for each digest (30, 30 and 18 bits, with 14 bits to spare), one
 * each for the index, `iat`, and the lower part of the era. What is spare holds the rest.
 */
const TOKEN = 0;
const SUBJECT = 3;
const SESSION = 6;
const INDEX = 9;
const ISSUED_AT = 10;
const ERA = 11;
const WORDS = 12;

const SPARE = 14;
const SPARE_MASK = 2 ** SPARE - 1;
const HAS_SESSION = 2 ** 31;
const INDEX_MASK = HAS_SESSION - 1;

/** The spare bits count the life of a token in steps of so many seconds: 36 hours at most. */
const LIFE_STEP = 8;

const digests = new TableDigest();

/** What a page needs to know of a token beside its names: the number of its key in the list. */
export interface NumberedAllocation extends Allocation {
  readonly keyNumber: number;
}

/** Keys a list can tell apart. */
export const MAX_KEYS = 2 ** SPARE;

/** Whether a page can hold it: no token lives longer. */
export function fitsPage({ token: { issuedAt }, until }: Allocation): boolean {
  return Math.ceil(until / 1000) - issuedAt <= SPARE_MASK * LIFE_STEP;
}

/**
 * Tokens of one list, 48 bytes each, in the order in which they came. They leave together, when the
 * last of them has expired; so nothing is moved and nothing is searched.
 */
export class AllocationPage {
  readonly #words: Uint32Array;
  readonly #rows: number;
  #count = 0;
  #until = 0;
  /** Rows before this one were judged when they came. */
  judged = 0;

  constructor(rows: number) {
    this.#rows = rows;
    this.#words = new Uint32Array(rows * WORDS);
  }

  get count(): number {
    return this.#count;
  }

  get isFull(): boolean {
    return this.#count === this.#rows;
  }

  /** From this instant on, in milliseconds, no token of the page is accepted. */
  get until(): number {
    return this.#until;
  }

  add({ index, keyNumber, token, until }: NumberedAllocation): void {
    const words = this.#words;
    const at = this.#count++ * WORDS;
    const life = Math.max(0, Math.ceil((until / 1000 - token.issuedAt) / LIFE_STEP));
    putDigest(words, at + TOKEN, token.token, keyNumber);
    putDigest(words, at + SUBJECT, token.subject, life);
    const eraHigh = Math.floor(token.era / 2 ** 32);
    if (token.session === undefined) words[at + SESSION + 2] = eraHigh;
    else putDigest(words, at + SESSION, token.session, eraHigh);
    words[at + INDEX] = token.session === undefined ? index : index + HAS_SESSION;
    words[at + ISSUED_AT] = token.issuedAt;
    words[at + ERA] = token.era % 2 ** 32;
    this.#until = Math.max(this.#until, until);
  }

  indexOf(row: number): number {
    return this.#word(row, INDEX) & INDEX_MASK;
  }

  /** Whether the token, its subject or its session may be one of those whose digests begin so. */
  concerns(row: number, beginnings: DigestBeginnings): boolean {
    return (
      beginnings.has(this.#word(row, TOKEN)) ||
      beginnings.has(this.#word(row, SUBJECT)) ||
      beginnings.has(this.#word(row, SESSION))
    );
  }

  keyNumberOf(row: number): number {
    return this.#word(row, TOKEN + 2) & SPARE_MASK;
  }

  untilOf(row: number): number {
    const life = this.#word(row, SUBJECT + 2) & SPARE_MASK;
    return (this.#word(row, ISSUED_AT) + life * LIFE_STEP) * 1000;
  }

  issuedAtOf(row: number): number {
    return this.#word(row, ISSUED_AT);
  }

  eraOf(row: number): number {
    return (this.#word(row, SESSION + 2) & SPARE_MASK) * 2 ** 32 + this.#word(row, ERA);
  }

  tokenOf(row: number): string {
    return this.#digest(row, TOKEN);
  }

  subjectOf(row: number): string {
    return this.#digest(row, SUBJECT);
  }

  sessionOf(row: number): string | undefined {
    return this.#word(row, INDEX) >= HAS_SESSION ? this.#digest(row, SESSION) : undefined;
  }

  #digest(row: number, place: number): string {
    return formatDigest(
      this.#word(row, place),
      this.#word(row, place + 1),
      this.#word(row, place + 2) >>> SPARE,
    );
  }

  #word(row: number, place: number): number {
    return this.#words[row * WORDS + place] ?? 0;
  }
}

/** One row as revocations see it. Digests are written out when they are asked for. */
export class AllocatedToken implements RevocableNames {
  constructor(
    private readonly page: AllocationPage,
    private readonly row: number,
    private readonly keys: readonly string[],
  ) {}

  get token(): string {
    return this.page.tokenOf(this.row);
  }

  get session(): string | undefined {
    return this.page.sessionOf(this.row);
  }

  get subject(): string {
    return this.page.subjectOf(this.row);
  }

  get key(): string {
    return this.keys[this.page.keyNumberOf(this.row)] ?? '';
  }

  get issuedAt(): number {
    return this.page.issuedAtOf(this.row);
  }

  get era(): number {
    return this.page.eraOf(this.row);
  }
}

function putDigest(words: Uint32Array, at: number, digest: string, spare: number): void {
  digests.parse(digest);
  words[at] = digests.first;
  words[at + 1] = digests.second;
  words[at + 2] = digests.third * 2 ** SPARE + spare;
}
