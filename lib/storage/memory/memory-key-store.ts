import { StoreError } from '../../kernel/errors.js';
import { KeyStore, type LoadedKeyRing, type StoredKeyRing } from '../../keys/key-store.js';

/** The key ring of one process. A restart begins with new keys, so older tokens end with it. */
export class MemoryKeyStore extends KeyStore {
  #stored: StoredKeyRing | null = null;
  readonly #listeners = new Set<() => void>();
  #open = true;

  async load(): Promise<LoadedKeyRing> {
    this.#expectOpen();
    return { stored: this.#stored, storeTime: null };
  }

  async replace({
    expectedVersion,
    ring,
  }: {
    readonly expectedVersion: number | null;
    readonly ring: string;
  }): Promise<boolean> {
    this.#expectOpen();
    if ((this.#stored?.version ?? null) !== expectedVersion) return false;
    this.#stored = { version: (expectedVersion ?? 0) + 1, ring };
    for (const listener of this.#listeners) notify(listener);
    return true;
  }

  onChange(listener: () => void): () => void {
    // Registered under a function of its own, so that one listener can be given twice.
    const registered = (): void => listener();
    this.#listeners.add(registered);
    return () => this.#listeners.delete(registered);
  }

  close(): void {
    this.#open = false;
    this.#listeners.clear();
  }

  #expectOpen(): void {
    if (!this.#open) throw new StoreError('ERR_STORE_CLOSED', 'The memory storage was closed.');
  }
}

function notify(listener: () => void): void {
  try {
    listener();
  } catch {
    // The ring is stored; what a listener makes of it is its own affair.
  }
}
