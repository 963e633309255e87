/** A key ring as it lies in a store: opaque text, and the version it replaces. */
export interface StoredKeyRing {
  /**
   * A positive whole number that grows with every replacement. A store that was wiped goes on with
   * numbers it never gave before, so that an equal version always means the same ring.
   */
  readonly version: number;
  readonly ring: string;
}

/** What a store answers when it is asked for the ring. */
export interface LoadedKeyRing {
  /** The ring that stands now; `null` before the first was stored. */
  readonly stored: StoredKeyRing | null;
  /**
   * The store's clock when it answered, in milliseconds since the epoch, for instances to agree on;
   * `null` for a store without a clock of its own.
   */
  readonly storeTime: number | null;
}

/**
 * Port: one key ring, shared by every instance of an issuer. There is no lock and no leader; a ring
 * is replaced only by one that was computed from it.
 *
 * A call that cannot be answered rejects (`StoreError`); it is never answered with what stood once.
 */
export abstract class KeyStore {
  abstract load(): Promise<LoadedKeyRing>;

  /**
   * Stores a ring if the version it was computed from still stands (`null`: if there is none).
   * Compare and swap are one atomic step; `false` means that another instance was faster.
   */
  abstract replace(request: {
    readonly expectedVersion: number | null;
    readonly ring: string;
  }): Promise<boolean>;

  /**
   * Calls back after any instance replaced the ring, and whenever a notification may have been
   * missed. Best effort: who must know asks `load`. Returns what ends the subscription.
   */
  abstract onChange(listener: () => void): () => void;
}
