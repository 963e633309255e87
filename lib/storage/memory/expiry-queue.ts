/** Something that expires, and where it stands in the queue. Both belong to the queue. */
export abstract class Expiring {
  /** Milliseconds since the epoch. */
  expiresAt: number;
  slot = -1;

  constructor(expiresAt: number) {
    this.expiresAt = expiresAt;
  }
}

/**
 * What expires first comes first, without a timer: a binary heap in which everything knows its
 * place, so that what leaves early or lives longer costs O(log n) and leaves nothing behind.
 */
export class ExpiryQueue<Item extends Expiring> {
  readonly #heap: Item[] = [];

  get size(): number {
    return this.#heap.length;
  }

  /** What expires first. */
  get first(): Item | undefined {
    return this.#heap[0];
  }

  add(item: Item): void {
    this.#heap.push(item);
    this.#rise(item, this.#heap.length - 1);
  }

  remove(item: Item): void {
    const { slot } = item;
    const last = this.#heap.pop();
    if (last !== undefined && last !== item) this.#settle(last, slot);
    item.slot = -1;
  }

  /** Lets an item expire at another time. */
  reschedule(item: Item, expiresAt: number): void {
    item.expiresAt = expiresAt;
    this.#settle(item, item.slot);
  }

  #settle(item: Item, slot: number): void {
    const parent = this.#heap[(slot - 1) >> 1];
    if (slot > 0 && parent !== undefined && item.expiresAt < parent.expiresAt) {
      this.#rise(item, slot);
    } else {
      this.#sink(item, slot);
    }
  }

  #rise(item: Item, from: number): void {
    let slot = from;
    while (slot > 0) {
      const above = (slot - 1) >> 1;
      const parent = this.#heap[above];
      if (parent === undefined || parent.expiresAt <= item.expiresAt) break;
      this.#put(parent, slot);
      slot = above;
    }
    this.#put(item, slot);
  }

  #sink(item: Item, from: number): void {
    let slot = from;
    for (;;) {
      const left = this.#heap[2 * slot + 1];
      const right = this.#heap[2 * slot + 2];
      const child =
        left !== undefined && right !== undefined && right.expiresAt < left.expiresAt
          ? right
          : left;
      if (child === undefined || item.expiresAt <= child.expiresAt) break;
      const below = child.slot;
      this.#put(child, slot);
      slot = below;
    }
    this.#put(item, slot);
  }

  #put(item: Item, slot: number): void {
    this.#heap[slot] = item;
    item.slot = slot;
  }
}
