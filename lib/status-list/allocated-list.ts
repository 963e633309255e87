import { setImmediate as nextTurn } from 'node:timers/promises';

import type { RevocableNames } from '../revocation/revocable-token.js';
import type { Revocation } from '../revocation/revocation-entry.js';
import type { RevocationEntry } from '../revocation/revocation-log.js';
import { type Allocation, MAX_LIST_SIZE, writeAllocation } from './allocation-entry.js';
import { AllocatedToken, AllocationPage, fitsPage, MAX_KEYS } from './allocation-page.js';
import { DigestBeginnings } from './digest-beginnings.js';
import type { ListName } from './list-name.js';

/** Whether a revocation concerns a token, at this instant. */
export type RevocationTest = (token: RevocableNames) => boolean;

/** Work done in one turn of the event loop: some milliseconds. */
const TURN = 8_192;
/** What it costs to judge a row, where looking at one costs 1. */
const JUDGING = 16;

/** Tokens in a page: half as many as there are, so that expired ones are never most of a list. */
const MIN_ROWS = 64;
const MAX_ROWS = 8_192;

/** Revocations told apart before a list is judged as a whole. */
const MAX_BEGINNINGS = 10_000;

/** Which rows have to be judged anew. */
interface Pending {
  /** How the digests begin that revocations named. */
  readonly beginnings: DigestBeginnings;
  /** Also those that were found revoked: an exemption may have come late. */
  revoked: 'judge' | 'leave';
  everything: 'judge' | 'leave';
}

/**
 * One status list: which token has which index, and which of them are revoked. Costs 48 bytes for
 * each token until it expires, and two bits for each index.
 */
export class AllocatedList {
  readonly name: ListName;
  readonly #keys: string[] = [];
  readonly #keyNumbers = new Map<string, number>();
  #pages: AllocationPage[] = [];
  #taken: Buffer;
  #revoked: Buffer;
  /** Indices read from the log since it was found to have lost entries. */
  #readAgain: Buffer | undefined;
  #pending = nothingPending();
  #until = 0;
  #revision = 0;

  /** @param size at least so many tokens have room */
  constructor(name: ListName, size: number) {
    this.name = name;
    this.#taken = Buffer.alloc(Math.ceil(size / 8));
    this.#revoked = Buffer.alloc(Math.ceil(size / 8));
  }

  /** One bit for each index: whether its token was revoked when it was last judged. */
  get statuses(): Uint8Array {
    return this.#revoked;
  }

  /** Raised whenever `statuses` changes. */
  get revision(): number {
    return this.#revision;
  }

  /** From this instant on, in milliseconds, no token of the list is accepted. */
  get until(): number {
    return this.#until;
  }

  /** Tokens held, some of which have expired. */
  get size(): number {
    return this.#pages.reduce((sum, { count }) => sum + count, 0);
  }

  isTaken(index: number): boolean {
    return hasBit(this.#taken, index);
  }

  /** Idempotent. Answers whether there is room for what it says. */
  add(allocation: Allocation): 'held' | 'refused' {
    const { index, token, until } = allocation;
    const keyNumber = this.#numberOf(token.key);
    if (index >= MAX_LIST_SIZE || keyNumber >= MAX_KEYS || !fitsPage(allocation)) return 'refused';
    this.#readAgain = this.#readAgain && withBit(this.#readAgain, index);
    if (this.isTaken(index)) return 'held';
    this.#taken = withBit(this.#taken, index);
    if (this.#taken.length > this.#revoked.length) {
      this.#revoked = grown(this.#revoked, this.#taken.length);
      this.#revision++;
    }
    this.#pageWithRoom().add({ ...allocation, keyNumber });
    this.#until = Math.max(this.#until, until);
    return 'held';
  }

  /** Takes note of a revocation that may concern tokens of this list. */
  note({ kind, digest }: Revocation): void {
    const pending = this.#pending;
    switch (kind) {
      case 'token':
      case 'session':
      case 'subject':
      case 'version':
      case 'others':
        if (pending.beginnings.size >= MAX_BEGINNINGS) pending.everything = 'judge';
        else pending.beginnings.add(digest);
        break;
      case 'exemption':
        pending.revoked = 'judge';
        break;
      case 'key':
      case 'everything':
      case 'before':
        pending.everything = 'judge';
        break;
    }
  }

  /** Brings `statuses` up to what was noted before, a bounded piece at a time. */
  async judge(isRevoked: RevocationTest): Promise<void> {
    const pending = this.#pending;
    this.#pending = nothingPending();
    try {
      let work = 0;
      for (const page of this.#pages) {
        for (let row = 0; row < page.count; row++) {
          const isDue = row >= page.judged || this.#isDue(page, row, pending);
          if (isDue) this.#judgeRow(page, row, isRevoked);
          work += isDue ? JUDGING : 1;
          if (work < TURN) continue;
          work = 0;
          await nextTurn();
        }
        page.judged = page.count;
      }
    } catch (error) {
      // What was not judged is due the next time.
      this.#pending.everything = 'judge';
      throw error;
    }
  }

  /** Forgets tokens that have expired. */
  sweep(now: number): void {
    this.#pages = this.#pages.filter(({ until }) => until > now);
  }

  /** From here on `missing` passes over what is read from the log. */
  beginRefill(): void {
    this.#readAgain = Buffer.alloc(this.#taken.length);
  }

  /** The entries of tokens that were not read since `beginRefill`. */
  *missing(now: number): Generator<RevocationEntry> {
    for (const page of this.#pages) {
      for (let row = 0; row < page.count; row++) {
        const index = page.indexOf(row);
        const until = page.untilOf(row);
        if (until <= now || (this.#readAgain && hasBit(this.#readAgain, index))) continue;
        const token = new AllocatedToken(page, row, this.#keys);
        yield writeAllocation({ list: this.name, index, token, until });
      }
    }
  }

  #isDue(page: AllocationPage, row: number, pending: Pending): boolean {
    if (pending.everything === 'judge') return true;
    if (pending.beginnings.size > 0 && page.concerns(row, pending.beginnings)) return true;
    return pending.revoked === 'judge' && hasBit(this.#revoked, page.indexOf(row));
  }

  #judgeRow(page: AllocationPage, row: number, isRevoked: RevocationTest): void {
    const index = page.indexOf(row);
    const verdict = isRevoked(new AllocatedToken(page, row, this.#keys));
    if (verdict === hasBit(this.#revoked, index)) return;
    const byte = index >> 3;
    this.#revoked[byte] = (this.#revoked[byte] ?? 0) ^ (1 << (index & 7));
    this.#revision++;
  }

  #pageWithRoom(): AllocationPage {
    const last = this.#pages.at(-1);
    if (last !== undefined && !last.isFull) return last;
    const rows = Math.min(Math.max(this.size >> 1, MIN_ROWS), MAX_ROWS);
    const page = new AllocationPage(rows);
    this.#pages.push(page);
    return page;
  }

  /** All tokens of a key share its digest. */
  #numberOf(key: string): number {
    const known = this.#keyNumbers.get(key);
    if (known !== undefined) return known;
    const number = this.#keys.length;
    if (number < MAX_KEYS) {
      this.#keys.push(key);
      this.#keyNumbers.set(key, number);
    }
    return number;
  }
}

function nothingPending(): Pending {
  return { beginnings: new DigestBeginnings(), revoked: 'leave', everything: 'leave' };
}

function hasBit(bits: Buffer, index: number): boolean {
  return ((bits[index >> 3] ?? 0) & (1 << (index & 7))) !== 0;
}

/** The same bits, or a longer copy if the index is beyond their end, with one more set. */
function withBit(bits: Buffer, index: number): Buffer {
  const byte = index >> 3;
  // Another instance may be configured with longer lists. Doubled, so that few are copied.
  const roomy = byte < bits.length ? bits : grown(bits, Math.max(byte + 1, bits.length * 2));
  roomy[byte] = (roomy[byte] ?? 0) | (1 << (index & 7));
  return roomy;
}

function grown(bits: Buffer, length: number): Buffer {
  const longer = Buffer.alloc(length);
  bits.copy(longer);
  return longer;
}
