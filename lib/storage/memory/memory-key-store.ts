import { KeyStore, type LoadedKeyRing, type StoredKeyRing } from '../../keys/key-store.js';

/** The key ring of one process. A restart begins with new keys, so older tokens end with it. */
export class MemoryKeyStore extends KeyStore {
  #stored: StoredKeyRing | null = null;
  readonly #listeners = new Set<() => void>();

  async load(): Promise<LoadedKeyRing> {
    return { stored: this.#stored, storeTime: null };
  }

  async replace({
    expectedVersion,
    ring,
  }: {
    readonly expectedVersion: number | null;
    readonly ring: string;
  }): Promise<boolean> {
    if ((this.#stored?.version ?? null) !== expectedVersion) return false;
    this.#stored = { version: (expectedVersion ?? 0) + 1, ring };
    for (const listener of this.#listeners) notify(listener);
    return true;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

function notify(listener: () => void): void {
  try {
    listener();
  } catch {
    // The ring is stored; what a listener makes of it is its own affair.
  }
}
