/** 32-bit words of a page, as a power of two. */
export const PAGE_WORDS_LOG2 = 9;

const SLAB_PAGES_LOG2 = 9;
const SLAB_PAGES = 1 << SLAB_PAGES_LOG2;
const NOTHING = new Int32Array(0);

/** More free pages than this are gathered, so that slabs of them can be given back. */
const LOOSE_PAGES = 2 * SLAB_PAGES;

/**
 * Memory in pages of 2 KiB, cut from slabs of 1 MiB. What grows takes pages and what shrinks returns
 * them, so nothing is copied to a larger array and none is left behind as garbage until a collection,
 * which would hold more memory than the entries do.
 */
export class TablePages {
  readonly #slabs: Int32Array[] = [];
  /** Pages nobody uses, by slab. */
  readonly #free: number[][] = [];
  /** No slab before this one has a free page. */
  #firstLoose = 0;
  #used = 0;
  #held = 0;

  /** Bytes held, whether pages are in use or not. */
  get bytes(): number {
    return this.#held * (4 << (SLAB_PAGES_LOG2 + PAGE_WORDS_LOG2));
  }

  /** The slab with this page. */
  slabOf(page: number): Int32Array {
    return this.#slabs[page >>> SLAB_PAGES_LOG2] ?? NOTHING;
  }

  /** A page nobody uses, with whatever was in it; from the lowest slab, so that high ones run empty. */
  take(): number {
    for (; this.#firstLoose < this.#slabs.length; this.#firstLoose++) {
      const page = this.#free[this.#firstLoose]?.pop();
      if (page !== undefined) return this.#lend(page);
    }
    const vacant = this.#slabs.indexOf(NOTHING);
    const slab = vacant >= 0 ? vacant : this.#slabs.length;
    const pages = Array.from(
      { length: SLAB_PAGES },
      (_, index) => ((slab + 1) << SLAB_PAGES_LOG2) - 1 - index,
    );
    this.#slabs[slab] = new Int32Array(1 << (SLAB_PAGES_LOG2 + PAGE_WORDS_LOG2));
    this.#held++;
    this.#free[slab] = pages;
    this.#firstLoose = slab;
    return this.#lend(pages.pop() ?? 0);
  }

  #lend(page: number): number {
    this.#used++;
    return page;
  }

  /** Returns a page. A slab without a used one is given back whole. */
  release(page: number): void {
    const slab = page >>> SLAB_PAGES_LOG2;
    const free = this.#free[slab] ?? [];
    free.push(page);
    this.#used--;
    if (free.length === SLAB_PAGES) {
      this.#slabs[slab] = NOTHING;
      this.#free[slab] = [];
      this.#held--;
    } else if (slab < this.#firstLoose) {
      this.#firstLoose = slab;
    }
  }

  /** Whether there is so much free memory that this page should move to a lower slab. */
  isStray(page: number): boolean {
    if ((this.#held << SLAB_PAGES_LOG2) - this.#used <= LOOSE_PAGES) return false;
    return page >>> SLAB_PAGES_LOG2 > this.#used >>> SLAB_PAGES_LOG2;
  }
}

/** Where a page begins in its slab. */
export function startOf(page: number): number {
  return (page & (SLAB_PAGES - 1)) << PAGE_WORDS_LOG2;
}
