import { TableDigest } from '../revocation/table-digest.js';

/** Slots of the filter; a power of two. */
const SLOTS = 2 ** 16;

const digests = new TableDigest();

/**
 * How some digests begin: 30 bits, enough to pass over what none of them can be. A million others
 * are passed over in some milliseconds, because most questions end at a byte of an array.
 */
export class DigestBeginnings {
  readonly #beginnings = new Set<number>();
  #filter: Uint8Array | undefined;

  get size(): number {
    return this.#beginnings.size;
  }

  add(digest: string): void {
    digests.parse(digest);
    this.#beginnings.add(digests.first);
    this.#filter ??= new Uint8Array(SLOTS);
    this.#filter[digests.first & (SLOTS - 1)] = 1;
  }

  has(beginning: number): boolean {
    return this.#filter?.[beginning & (SLOTS - 1)] === 1 && this.#beginnings.has(beginning);
  }
}
