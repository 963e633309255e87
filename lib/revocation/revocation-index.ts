import { type BroadKind, BroadRevocations } from './broad-revocations.js';
import type { Revocation, RevocationKind } from './revocation-entry.js';
import { RevocationTable } from './revocation-table.js';

/** Kinds that can have millions of entries; each has a table of its own, so an empty one costs nothing. */
export type TabledKind = 'token' | 'session' | 'subject' | 'version' | 'others' | 'exemption';

/** Their `since` is an era. */
const ERAS: readonly RevocationKind[] = ['subject', 'version', 'others', 'everything'];

/** Slots of tables that one sweep looks at, and may lay out anew: a millisecond or two. */
const SLOTS_PER_SWEEP = 20_000;

/**
 * What is revoked, in the memory of this process, so that every request can be judged without asking
 * anybody. Entries end by themselves; ten million of them need 20 bytes each, and no call pauses
 * the process. All instants are milliseconds since the epoch.
 */
export class RevocationIndex {
  readonly #tables = {
    token: new RevocationTable('latestOfEach'),
    session: new RevocationTable('latestOfEach'),
    subject: new RevocationTable('latestOfEach'),
    version: new RevocationTable('latestOfEach'),
    others: new RevocationTable('latestOfEach'),
    exemption: new RevocationTable('latestSince'),
  } as const satisfies Record<TabledKind, RevocationTable>;
  readonly #broad = new BroadRevocations();
  #generation = 0;
  #latestEra = 0;
  /** The table that is swept next. */
  #turn = 0;

  /** Raised by every `add` that changed anything. */
  get generation(): number {
    return this.#generation;
  }

  /** Entries held, ended ones that were not swept included. */
  get size(): number {
    let size = this.#broad.size;
    for (const table of Object.values(this.#tables)) size += table.size;
    return size;
  }

  /** As `size`, of one kind. */
  sizeOf(kind: TabledKind | 'key'): number {
    return kind === 'key' ? this.#broad.keys : this.#tables[kind].size;
  }

  /** The highest era that was ever added, also by an entry that had ended; 0 if none was. */
  get latestEra(): number {
    return this.#latestEra;
  }

  /**
   * Adds a revocation; adding it again changes nothing. Of two with the same kind and digest the
   * later `since` and the later `until` stay; of two exemptions the `until` of the later `since`.
   *
   * What names a token, a session or a subject ends at most 37 hours after its `since`, which is at
   * most as far ahead; later instants are cut off. Tokens live for a day, so none outlives it.
   * @throws TypeError for a digest that is none, and instants that are no whole numbers
   */
  add(revocation: Revocation, now: number): void {
    const { kind, since, until } = revocation;
    if (!Number.isSafeInteger(since) || !Number.isSafeInteger(until)) {
      throw new TypeError('The instants of a revocation are whole milliseconds.');
    }
    const instant = Math.floor(now);
    const isNew = isBroad(revocation)
      ? this.#broad.add(revocation, instant)
      : this.#tableOf(kind)?.add(revocation, instant) === true;
    const isLater = ERAS.includes(kind) && since > this.#latestEra;
    if (isLater) this.#latestEra = since;
    if (isNew || isLater) this.#generation++;
  }

  /** `since` of the entry that counts now; `undefined` if there is none, also for what is no digest. */
  find(kind: TabledKind, digest: string, now: number): number | undefined {
    return this.#tables[kind].find(digest, Math.floor(now));
  }

  /** As `find`, for a key. */
  findKey(digest: string, now: number): number | undefined {
    return this.#broad.find('key', digest, now);
  }

  /** The era that every token has to carry now. */
  everything(now: number): number | undefined {
    return this.#broad.find('everything', '', now);
  }

  /** The instant before which no token that is good now was issued. */
  before(now: number): number | undefined {
    return this.#broad.find('before', '', now);
  }

  /**
   * Whether an entry of this kind and digest counts now that has this `since` and this `until`, or
   * later ones. What `add` cuts off is not asked for.
   */
  holds(revocation: Revocation, now: number): boolean {
    const instant = Math.floor(now);
    if (isBroad(revocation)) return this.#broad.holds(revocation, instant);
    return this.#tableOf(revocation.kind)?.holds(revocation, instant) === true;
  }

  #tableOf(kind: RevocationKind): RevocationTable | undefined {
    const tables: Partial<Record<RevocationKind, RevocationTable>> = this.#tables;
    return tables[kind];
  }

  /**
   * All that counts, the broadest first. It may be left waiting while entries come and go: each one
   * that stays is given once. Ends of tabled ones are given as they are kept, up to 8 seconds later.
   */
  *held(now: number): Generator<Revocation> {
    const instant = Math.floor(now);
    yield* this.#broad.held(instant);
    for (const kind of TABLED) {
      for (const entry of this.#tables[kind].held(instant)) yield { kind, ...entry };
    }
  }

  /** Clears away some of what has ended, within a few milliseconds; for a timer to call. */
  sweep(now: number): void {
    const instant = Math.floor(now);
    this.#broad.sweep(instant);
    let slots = SLOTS_PER_SWEEP;
    for (let turn = 0; turn < TABLED.length && slots > 0; turn++) {
      const kind = TABLED[this.#turn] ?? 'token';
      slots -= this.#tables[kind].sweep(instant, slots);
      if (slots > 0) this.#turn = (this.#turn + 1) % TABLED.length;
    }
  }
}

const TABLED: readonly TabledKind[] = [
  ...(['subject', 'version', 'others', 'exemption'] as const),
  ...(['session', 'token'] as const),
];
const BROAD: readonly RevocationKind[] = ['key', 'everything', 'before'];

function isBroad(revocation: Revocation): revocation is Revocation & { readonly kind: BroadKind } {
  return BROAD.includes(revocation.kind);
}
