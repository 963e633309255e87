/** A key ring as it lies in a store: opaque text, and the version it replaces. */
export interface StoredKeyRing {
  /** 1 for the first ring, one more with every replacement. */
  readonly version: number;
  readonly ring: string;
}

/**
 * Port: one key ring, shared by every instance of an issuer. There is no lock and no leader; a ring
 * is replaced only by one that was computed from it.
 */
export abstract class KeyStore {
  /** The ring that stands now; `null` before the first was stored. */
  abstract load(): Promise<StoredKeyRing | null>;

  /**
   * Stores a ring if the version it was computed from still stands (`null`: if there is none).
   * Compare and swap are one atomic step; `false` means that another instance was faster.
   */
  abstract replace(request: {
    readonly expectedVersion: number | null;
    readonly ring: string;
  }): Promise<boolean>;

  /** Calls back after any instance replaced the ring. Returns what ends the subscription. */
  abstract onChange(listener: () => void): () => void;
}
