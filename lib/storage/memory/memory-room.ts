import type { Clock } from '../../kernel/clock.js';
import { StoreError } from '../../kernel/errors.js';
import { type Expiring, ExpiryQueue } from './expiry-queue.js';

/** At most so many expired items leave per call: more than come, and never a pause. */
const SWEEP = 16;

/**
 * The room a port has: so many items, each until it expires. When there is none left, what comes is
 * denied; nothing that still stands is thrown away for it, or an attacker could make a store forget
 * by filling it.
 */
export class MemoryRoom<Item extends Expiring> {
  readonly #queue = new ExpiryQueue<Item>();
  readonly #maxEntries: number;
  readonly #clock: Clock;
  readonly #forget: (item: Item) => void;
  #open = true;

  /** @param forget takes an item that expired out of where it is kept */
  constructor(maxEntries: number, clock: Clock, forget: (item: Item) => void) {
    this.#maxEntries = maxEntries;
    this.#clock = clock;
    this.#forget = forget;
  }

  /** How many items there are, expired ones that were not swept included. */
  get size(): number {
    return this.#queue.size;
  }

  get isOpen(): boolean {
    return this.#open;
  }

  /**
   * Begins a call: the instant it is judged by.
   * @throws StoreError `ERR_STORE_CLOSED`
   */
  enter(): number {
    if (!this.#open) throw new StoreError('ERR_STORE_CLOSED', 'The memory storage was closed.');
    const now = this.#clock.now();
    for (let swept = 0; swept < SWEEP; swept++) {
      const { first } = this.#queue;
      if (first === undefined || first.expiresAt > now) break;
      this.remove(first);
      this.#forget(first);
    }
    return now;
  }

  /**
   * Makes sure of room for one more item. Sweeping left some, if any had expired.
   * @param reserved room for so many items is left to others
   * @throws StoreError `ERR_STORE_FULL`
   */
  expectRoom(reserved = 0): void {
    if (this.#queue.size < this.#maxEntries - reserved) return;
    throw new StoreError(
      'ERR_STORE_FULL',
      `The memory storage has no room for this entry (maxEntries: ${this.#maxEntries} of its kind), and none of them expired.`,
    );
  }

  add(item: Item): void {
    this.#queue.add(item);
  }

  remove(item: Item): void {
    this.#queue.remove(item);
  }

  reschedule(item: Item, expiresAt: number): void {
    this.#queue.reschedule(item, expiresAt);
  }

  close(): void {
    this.#open = false;
  }
}
