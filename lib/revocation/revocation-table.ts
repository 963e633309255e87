import { formatDigest, TableDigest } from './table-digest.js';
import { PAGE_WORDS_LOG2, startOf, TablePages } from './table-pages.js';

/** A digest, and what was revoked of it. */
export interface TabledRevocation {
  readonly digest: string;
  /** Milliseconds since the epoch. */
  readonly since: number;
  /** Milliseconds since the epoch; it counts no longer from then on. */
  readonly until: number;
}

// A power of two, so that an instant modulo 2^32 tells how far into a step it is.
const STEP_BITS = 13;

/** Milliseconds: the end of an entry is kept as a multiple of this, rounded up. */
export const UNTIL_STEP = 1 << STEP_BITS;

const LIFE_BITS = 14;
const LIFE_MASK = (1 << LIFE_BITS) - 1;

/** Milliseconds from `since` to `until` at most: a little more than 37 hours. */
export const MAX_LIFE = (LIFE_MASK - 1) * UNTIL_STEP;

/** An instant is kept modulo 2^32 ms, so what has ended must be gone before that goes round. */
const LOOKED_THROUGH_WITHIN = 10 * 86_400_000;

/** A slot: 30 bits of the digest and a mark, 30 bits, 18 bits and the life, `since`. */
const SLOT_WORDS_LOG2 = 2;
const SLOT_WORDS = 1 << SLOT_WORDS_LOG2;
const PAGE_WORDS = 1 << PAGE_WORDS_LOG2;
const PAGE_SLOTS_LOG2 = PAGE_WORDS_LOG2 - SLOT_WORDS_LOG2;
const PAGE_SLOTS = 1 << PAGE_SLOTS_LOG2;

/** Tells a taken slot from an empty one, which is 0. */
const TAKEN = 1 << 30;

/** Segments by the highest bits of a digest's place; one of them is laid out anew at a time. */
const SEGMENT_BITS = 10;
const SEGMENTS = 1 << SEGMENT_BITS;
const SLOT_BITS = 32 - SEGMENT_BITS;
const SLOT_RANGE = 1 << SLOT_BITS;
const SLOT_MASK = SLOT_RANGE - 1;

/** A segment is laid out anew when it would be fuller than this. */
const FULL = 0.9;
/** It gets the smallest size of its own scale that leaves it no fuller than this. */
const ROOMY = 0.85;
const LOG_GROWTH = Math.log(1.1);

/**
 * Digests with an instant and an end, at 16 bytes each and a ninth to a fifth of that for room. An
 * entry that has ended is not found; `sweep` clears it away.
 *
 * Open addressing with linear probing in 1024 segments. No call touches more than one of them, so
 * none pauses the process, however much there is. The sizes of the segments are staggered, so that
 * they do not all become roomy at once.
 */
export class RevocationTable {
  readonly #digest = new TableDigest();
  readonly #onRepeat: 'latestOfEach' | 'latestSince';
  #pages = new TablePages(SEGMENTS);
  /** By segment: how many of its slots are taken. */
  readonly #counts = new Int32Array(SEGMENTS);
  #size = 0;
  /** From this instant on nothing of what was added counts. */
  #lastUntil = -Infinity;
  /** The segment that is swept next, and when the present and the previous round began. */
  #cursor = 0;
  #roundBegan = -Infinity;
  #previousRoundBegan = -Infinity;
  /** Where the entries of a segment are put while it is laid out anew. */
  #moving: Int32Array = new Int32Array(0);
  /** Where `#locate` came to rest: in which slab, and at which of its words. */
  #slab: Int32Array = new Int32Array(0);
  #word = 0;

  /**
   * @param onRepeat what a second entry for a digest does: the later `since` and the later `until`
   * stay, or the `until` that came with the later `since`
   */
  constructor(onRepeat: 'latestOfEach' | 'latestSince' = 'latestOfEach') {
    this.#onRepeat = onRepeat;
  }

  /** Entries held, ended ones that were not swept included. */
  get size(): number {
    return this.#size;
  }

  /** Memory held for entries. */
  get bytes(): number {
    return this.#pages.bytes;
  }

  /**
   * Adds an entry, unless it has ended. `since` is at most `MAX_LIFE` ahead of `now`, and `until` at
   * most as much after `since`: what goes beyond is cut off.
   * @returns whether that changed anything
   * @throws TypeError for what is no digest
   */
  add({ digest, since, until }: TabledRevocation, now: number): boolean {
    const parsed = this.#digest;
    if (!parsed.parse(digest)) throw new TypeError('A digest has 13 characters of base64url.');
    this.#prepareFor(now);
    const from = boundedSince(since, now);
    const life = lifeOf(from, until);
    if (until <= now || endOf(from, life) <= now) return false;
    const { first, second, third } = parsed;
    const place = parsed.place(first, second, third);
    if (this.#locate(place, first, second, third)) return this.#renew(third, from, life, now);
    const segment = place >>> SLOT_BITS;
    const count = this.#counts[segment] ?? 0;
    if (count >= Math.floor(this.#slotsOf(segment) * FULL)) {
      this.#layOut(segment, now, 1);
      this.#locate(place, first, second, third);
    }
    this.#slab[this.#word] = first | TAKEN;
    this.#slab[this.#word + 1] = second;
    this.#write(third, from, life);
    this.#counts[segment] = (this.#counts[segment] ?? 0) + 1;
    this.#size++;
    return true;
  }

  /** `since` of the entry that counts now. Allocates nothing. */
  find(digest: string, now: number): number | undefined {
    if (this.#size === 0 || now >= this.#lastUntil) return undefined;
    const parsed = this.#digest;
    if (!parsed.parse(digest)) return undefined;
    const { first, second, third } = parsed;
    if (!this.#locate(parsed.place(first, second, third), first, second, third)) return undefined;
    const since = this.#slab[this.#word + 3] ?? 0;
    const age = ageOf(since, now);
    return age < lengthOf(since, this.#lifeHere) ? now - age : undefined;
  }

  /** Whether an entry that counts now has this `since` and this `until`, or later ones. */
  holds({ digest, since, until }: TabledRevocation, now: number): boolean {
    const found = this.find(digest, now);
    if (found === undefined) return false;
    const from = boundedSince(since, now);
    const end = Math.min(until, from + MAX_LIFE);
    return found >= from && endOf(found, this.#lifeHere) >= end;
  }

  /**
   * All entries that count. It may be left waiting while entries come and go: each one that stays is
   * given once.
   */
  *held(now: number): Generator<TabledRevocation> {
    for (let segment = 0; segment < SEGMENTS; segment++) {
      // A copy: what is laid out anew meanwhile would be met twice, or never.
      const entries = this.#liveOf(segment, now).slice();
      for (let at = 0; at < entries.length; at += SLOT_WORDS) {
        const third = entries[at + 2] ?? 0;
        const since = now - ageOf(entries[at + 3] ?? 0, now);
        yield {
          digest: formatDigest(
            (entries[at] ?? 0) & ~TAKEN,
            entries[at + 1] ?? 0,
            third >>> LIFE_BITS,
          ),
          since,
          until: endOf(since, third & LIFE_MASK),
        };
      }
    }
  }

  /**
   * Clears away what has ended, one segment after the other, until so many slots were looked at or
   * all segments were.
   * @returns how many slots were looked at
   */
  sweep(now: number, slots: number): number {
    if (this.#size === 0) return 0;
    if (now >= this.#lastUntil) {
      this.#clear();
      return 0;
    }
    let seen = 0;
    for (let turn = 0; turn < SEGMENTS && seen < slots; turn++) {
      seen += this.#sweepNext(now);
    }
    return seen;
  }

  #sweepNext(now: number): number {
    const segment = this.#cursor;
    if (segment === 0) {
      this.#previousRoundBegan = this.#roundBegan;
      this.#roundBegan = now;
    }
    this.#cursor = (segment + 1) % SEGMENTS;
    const slots = this.#slotsOf(segment);
    if (slots === 0) return 0;
    const live = this.#liveOf(segment, now).length / SLOT_WORDS;
    if (live < (this.#counts[segment] ?? 0)) this.#layOut(segment, now, 0);
    return slots;
  }

  /** What all instants depend on: that nothing is left of what ended long ago. */
  #prepareFor(now: number): void {
    if (this.#size > 0 && now >= this.#lastUntil) this.#clear();
    if (this.#size === 0) {
      this.#cursor = 0;
      this.#roundBegan = this.#previousRoundBegan = now;
    } else if (now - this.#previousRoundBegan > LOOKED_THROUGH_WITHIN) {
      // Nobody sweeps. Rather a pause than a revocation that comes back.
      for (let twice = 0; twice < 2 * SEGMENTS; twice++) this.#sweepNext(now);
    }
  }

  #clear(): void {
    this.#pages = new TablePages(SEGMENTS);
    this.#counts.fill(0);
    this.#size = 0;
    this.#lastUntil = -Infinity;
    this.#moving = new Int32Array(0);
    this.#slab = this.#moving;
  }

  #slotsOf(segment: number): number {
    return this.#pages.lengthOf(segment) << PAGE_SLOTS_LOG2;
  }

  /** Finds the slot of these parts, or the empty one where they would go. */
  #locate(place: number, first: number, second: number, third: number): boolean {
    const segment = place >>> SLOT_BITS;
    const slots = this.#slotsOf(segment);
    if (slots === 0) return false;
    const wanted = first | TAKEN;
    let slot = Math.floor(((place & SLOT_MASK) * slots) / SLOT_RANGE);
    // A segment is never full, so every search comes to an end.
    for (;;) {
      const page = this.#pages.pageOf(segment, slot >>> PAGE_SLOTS_LOG2);
      const slab = this.#pages.slabOf(page);
      const start = startOf(page);
      let word = start + ((slot & (PAGE_SLOTS - 1)) << SLOT_WORDS_LOG2);
      for (; word < start + PAGE_WORDS; word += SLOT_WORDS) {
        const found = slab[word];
        const isSame =
          found === wanted &&
          slab[word + 1] === second &&
          (slab[word + 2] ?? 0) >>> LIFE_BITS === third;
        if (!isSame && found !== 0) continue;
        this.#slab = slab;
        this.#word = word;
        return isSame;
      }
      slot = (slot | (PAGE_SLOTS - 1)) + 1;
      if (slot === slots) slot = 0;
    }
  }

  /** A second entry for the digest whose slot was located. */
  #renew(third: number, since: number, life: number, now: number): boolean {
    const oldLife = this.#lifeHere;
    const oldSince = now - ageOf(this.#slab[this.#word + 3] ?? 0, now);
    if (endOf(oldSince, oldLife) <= now) return this.#write(third, since, life);
    if (this.#onRepeat === 'latestSince') {
      if (since < oldSince || (since === oldSince && life <= oldLife)) return false;
      return this.#write(third, since, life);
    }
    const latest = Math.max(since, oldSince);
    const latestLife = lifeOf(latest, Math.max(endOf(since, life), endOf(oldSince, oldLife)));
    if (latest === oldSince && latestLife === oldLife) return false;
    return this.#write(third, latest, latestLife);
  }

  #write(third: number, since: number, life: number): true {
    this.#slab[this.#word + 2] = (third << LIFE_BITS) | life;
    this.#slab[this.#word + 3] = since | 0;
    this.#lastUntil = Math.max(this.#lastUntil, endOf(since, life));
    return true;
  }

  get #lifeHere(): number {
    return (this.#slab[this.#word + 2] ?? 0) & LIFE_MASK;
  }

  /** The slots of a segment that count, one after the other; good until the next call. */
  #liveOf(segment: number, now: number): Int32Array {
    const length = this.#pages.lengthOf(segment);
    if (this.#moving.length < length * PAGE_WORDS) {
      this.#moving = new Int32Array(2 * length * PAGE_WORDS);
    }
    const moving = this.#moving;
    let to = 0;
    for (let index = 0; index < length; index++) {
      const page = this.#pages.pageOf(segment, index);
      const slab = this.#pages.slabOf(page);
      const start = startOf(page);
      for (let word = start; word < start + PAGE_WORDS; word += SLOT_WORDS) {
        if (slab[word] === 0) continue;
        const third = slab[word + 2] ?? 0;
        const since = slab[word + 3] ?? 0;
        if (ageOf(since, now) >= lengthOf(since, third & LIFE_MASK)) continue;
        moving[to] = slab[word] ?? 0;
        moving[to + 1] = slab[word + 1] ?? 0;
        moving[to + 2] = third;
        moving[to + 3] = since;
        to += SLOT_WORDS;
      }
    }
    return moving.subarray(0, to);
  }

  /** Drops what has ended, and gives the rest the pages it needs with so many more entries. */
  #layOut(segment: number, now: number, more: number): void {
    const live = this.#liveOf(segment, now);
    const count = live.length / SLOT_WORDS;
    this.#pages.refit(segment, pagesFor(count + more, segment));
    for (let at = 0; at < live.length; at += SLOT_WORDS) {
      const first = (live[at] ?? 0) & ~TAKEN;
      const second = live[at + 1] ?? 0;
      const third = live[at + 2] ?? 0;
      const id = third >>> LIFE_BITS;
      this.#locate(this.#digest.place(first, second, id), first, second, id);
      const to = this.#word;
      this.#slab[to] = first | TAKEN;
      this.#slab[to + 1] = second;
      this.#slab[to + 2] = third;
      this.#slab[to + 3] = live[at + 3] ?? 0;
    }
    this.#size += count - (this.#counts[segment] ?? 0);
    this.#counts[segment] = count;
  }
}

/** As far ahead as a table can tell; more would be taken for an instant that is long past. */
function boundedSince(since: number, now: number): number {
  return Math.min(since, now + MAX_LIFE);
}

/** Steps that it touches; an entry whose end is not after its beginning has one. */
function lifeOf(since: number, until: number): number {
  const steps = Math.ceil(until / UNTIL_STEP) - Math.floor(since / UNTIL_STEP);
  return Math.min(Math.max(steps, 1), LIFE_MASK);
}

function endOf(since: number, life: number): number {
  return (Math.floor(since / UNTIL_STEP) + life) * UNTIL_STEP;
}

/**
 * Milliseconds from `since` to the end.
 * @param since modulo 2^32
 */
function lengthOf(since: number, life: number): number {
  return (life << STEP_BITS) - (since & (UNTIL_STEP - 1));
}

/**
 * Milliseconds since `since`, negative if that is ahead.
 * @param since modulo 2^32
 */
function ageOf(since: number, now: number): number {
  return (now - since) | 0;
}

/** The smallest size of a segment's own scale that leaves it roomy. */
function pagesFor(entries: number, segment: number): number {
  if (entries === 0) return 0;
  const least = entries / ROOMY / PAGE_SLOTS;
  // Each scale grows by a tenth from size to size, and the scales lie evenly between one another.
  const offset = segment / SEGMENTS;
  const step = Math.ceil(Math.log(least) / LOG_GROWTH - offset);
  return Math.ceil(Math.exp((step + offset) * LOG_GROWTH));
}
