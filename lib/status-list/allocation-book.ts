import type { LogCompanion } from '../revocation/log-companion.js';
import { isAllocation, type Revocation } from '../revocation/revocation-entry.js';
import type { RevocationEntry } from '../revocation/revocation-log.js';
import { AllocatedList } from './allocated-list.js';
import { type Allocation, readAllocation } from './allocation-entry.js';
import { formatListName } from './list-name.js';

/** Milliseconds between two looks for what has expired. */
const SWEEP_EVERY = 1_000;

/**
 * Which token has which index of which status list, as far as this instance has read the log. To be
 * told of every entry of it, in its order: what is not in here is never marked as revoked.
 */
export class AllocationBook implements LogCompanion {
  readonly #size: number;
  readonly #lists = new Map<string, AllocatedList>();
  #sweptAt = -Infinity;

  /** @param size for how many tokens a list has room at first */
  constructor(size: number) {
    this.#size = size;
  }

  /** Takes an entry of the log that is no revocation. */
  onOther(entry: RevocationEntry, now: number): 'taken' | 'unreadable' {
    if (!isAllocation(entry.data)) return 'unreadable';
    const allocation = readAllocation(entry);
    return allocation === undefined ? 'unreadable' : this.add(allocation, now);
  }

  add(allocation: Allocation, now: number): 'taken' | 'unreadable' {
    this.#sweep(now);
    if (allocation.until <= now) return 'taken';
    const name = formatListName(allocation.list);
    const list = this.#lists.get(name) ?? new AllocatedList(allocation.list, this.#size);
    if (list.add(allocation) === 'refused') return 'unreadable';
    this.#lists.set(name, list);
    return 'taken';
  }

  /** To be told of every revocation that is read, once it is enforced. */
  onRevocation(revocation: Revocation): void {
    for (const list of this.#lists.values()) list.note(revocation);
  }

  /** A list with tokens that have not expired. */
  find(name: string, now: number): AllocatedList | undefined {
    this.#sweep(now);
    const list = this.#lists.get(name);
    return list !== undefined && list.until > now ? list : undefined;
  }

  /** Tokens held, some of which have expired. */
  get size(): number {
    return [...this.#lists.values()].reduce((sum, { size }) => sum + size, 0);
  }

  /** The log has lost entries: from here on those read from it are told apart from the rest. */
  beginRefill(): void {
    for (const list of this.#lists.values()) list.beginRefill();
  }

  /** What the log does not hold any more. May be iterated slowly while entries are added. */
  *missing(now: number): Generator<RevocationEntry> {
    for (const list of this.#lists.values()) yield* list.missing(now);
  }

  #sweep(now: number): void {
    if (Math.abs(now - this.#sweptAt) < SWEEP_EVERY) return;
    this.#sweptAt = now;
    for (const [name, list] of this.#lists) {
      list.sweep(now);
      if (list.until <= now) this.#lists.delete(name);
    }
  }
}
