import { randomId } from '../../kernel/ids.js';
import type { LoggedRevocation } from '../../revocation/revocation-log.js';

/** An entry as it is found in the cache. */
export interface FoundEntry {
  /** Unique; sorts by the time it was appended. */
  readonly name: string;
  readonly data: string;
  readonly expiresAt: number;
}

interface Observed extends FoundEntry {
  readonly number: number;
}

/**
 * The entries one instance has seen, in the order it saw them, since it found the witness that now
 * vouches for the backend. A cache gives no order that instances could share: what another appends
 * at the same time can show up later, and would be skipped by whoever is past it.
 */
export class ObservedLog {
  /** In every position, so that those of other instances and of before a loss are recognised. */
  readonly #id = randomId();
  readonly #entries = new Map<string, Observed>();
  #last = 0;

  /** @param witness the name of what is in the backend as long as it was not wiped */
  constructor(readonly witness: string) {}

  /** Entries are counted from 1. */
  get last(): number {
    return this.#last;
  }

  get size(): number {
    return this.#entries.size;
  }

  has(name: string): boolean {
    return this.#entries.has(name);
  }

  /** Adds an entry unless it is there; answers its position. */
  add(entry: FoundEntry): string {
    const observed = this.#entries.get(entry.name) ?? { ...entry, number: ++this.#last };
    this.#entries.set(entry.name, observed);
    return this.positionOf(observed.number);
  }

  /** Takes a number for an entry that has expired before it was there. */
  skip(): string {
    return this.positionOf(++this.#last);
  }

  dropExpired(now: number): void {
    for (const { name, expiresAt } of this.#entries.values()) {
      if (expiresAt <= now) this.#entries.delete(name);
    }
  }

  /** The names of live entries up to a number. */
  namesUpTo(number: number): readonly string[] {
    return [...this.#entries.values()]
      .filter((entry) => entry.number <= number)
      .map(({ name }) => name);
  }

  after(number: number, limit: number, now: number): readonly (LoggedRevocation & Observed)[] {
    const found: (LoggedRevocation & Observed)[] = [];
    for (const entry of this.#entries.values()) {
      if (entry.number <= number || entry.expiresAt <= now) continue;
      if (found.push({ ...entry, position: this.positionOf(entry.number) }) === limit) break;
    }
    return found;
  }

  positionOf(number: number): string {
    return `${this.#id}.${number}`;
  }

  /** The number a position stands for: 0 for the start, `undefined` for one of another log. */
  numberAt(position: string | null): number | undefined {
    if (position === null) return 0;
    const number = Number(position.slice(this.#id.length + 1));
    const isOurs = number >= 1 && number <= this.#last && position === this.positionOf(number);
    return isOurs ? number : undefined;
  }
}
