/** 32-bit words of a page, as a power of two. */
export const PAGE_WORDS_LOG2 = 9;
const PAGE_WORDS = 1 << PAGE_WORDS_LOG2;

const SLAB_PAGES_LOG2 = 9;
const SLAB_PAGES = 1 << SLAB_PAGES_LOG2;
const SLAB_WORDS = SLAB_PAGES * PAGE_WORDS;
const NOTHING: Int32Array = new Int32Array(0);

/**
 * Memory for the segments of a table, in pages of 2 KiB cut from slabs of 1 MiB. What grows takes
 * pages and what shrinks returns them. So nothing is left behind as garbage until it is collected,
 * which would be more memory than the entries need, nor as holes between arrays.
 */
export class TablePages {
  /** By segment: how many pages it has, and which, from `segment << #widthLog2` on. */
  readonly #lengths: Int32Array;
  #directory: Int32Array;
  #widthLog2 = 0;
  readonly #slabs: Int32Array[] = [];
  /** By slab: the pages that no segment has. */
  readonly #free: number[][] = [];
  /** No slab before this one has a free page. */
  #firstFree = 0;
  #slabsHeld = 0;

  constructor(segments: number) {
    this.#lengths = new Int32Array(segments);
    this.#directory = new Int32Array(segments);
  }

  /** Bytes of all slabs. */
  get bytes(): number {
    return this.#slabsHeld * SLAB_WORDS * Int32Array.BYTES_PER_ELEMENT;
  }

  /** How many pages a segment has. */
  lengthOf(segment: number): number {
    return this.#lengths[segment] ?? 0;
  }

  /** The page of a segment at this index. */
  pageOf(segment: number, index: number): number {
    return this.#directory[(segment << this.#widthLog2) + index] ?? 0;
  }

  /** The slab in which a page lies, from `startOf` on. */
  slabOf(page: number): Int32Array {
    return this.#slabs[page >>> SLAB_PAGES_LOG2] ?? NOTHING;
  }

  /** Gives a segment so many pages. They are empty, and what it had is lost. */
  refit(segment: number, wanted: number): void {
    while (wanted > 1 << this.#widthLog2) this.#widenDirectory();
    const start = segment << this.#widthLog2;
    const length = this.lengthOf(segment);
    const pages = this.#directory.subarray(start, start + Math.max(wanted, length));
    // The last pages go, which were taken last: so it is the highest slabs that run empty.
    for (const page of pages.subarray(wanted, length)) this.#release(page);
    for (let index = length; index < wanted; index++) pages[index] = this.#take();
    for (const page of pages.subarray(0, wanted)) {
      this.slabOf(page).fill(0, startOf(page), startOf(page) + PAGE_WORDS);
    }
    this.#lengths[segment] = wanted;
  }

  #widenDirectory(): void {
    const old = this.#directory;
    const width = 1 << this.#widthLog2;
    this.#directory = new Int32Array(old.length * 2);
    this.#widthLog2++;
    for (let at = 0; at < old.length; at += width) {
      this.#directory.set(old.subarray(at, at + width), at * 2);
    }
  }

  /** A free page of the lowest slab that has one, with whatever was in it. */
  #take(): number {
    for (; this.#firstFree < this.#slabs.length; this.#firstFree++) {
      const page = this.#free[this.#firstFree]?.pop();
      if (page !== undefined) return page;
    }
    const vacant = this.#slabs.indexOf(NOTHING);
    const slab = vacant >= 0 ? vacant : this.#slabs.length;
    const first = slab << SLAB_PAGES_LOG2;
    this.#slabs[slab] = new Int32Array(SLAB_WORDS);
    this.#slabsHeld++;
    this.#free[slab] = Array.from({ length: SLAB_PAGES - 1 }, (_, index) => first + 1 + index);
    this.#firstFree = slab;
    return first;
  }

  /** A slab of which no page is used any more is given back. */
  #release(page: number): void {
    const slab = page >>> SLAB_PAGES_LOG2;
    const free = this.#free[slab] ?? [];
    free.push(page);
    if (free.length === SLAB_PAGES) {
      this.#slabs[slab] = NOTHING;
      this.#free[slab] = [];
      this.#slabsHeld--;
    } else if (slab < this.#firstFree) {
      this.#firstFree = slab;
    }
  }
}

/** Where a page begins in its slab. */
export function startOf(page: number): number {
  return (page & (SLAB_PAGES - 1)) << PAGE_WORDS_LOG2;
}
