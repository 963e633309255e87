import type { KeyStore } from '../keys/key-store.js';

/** A place to keep state. For now there is one: `memoryStorage()`. */
export interface Storage {
  /** How messages call it. */
  readonly name: string;
  /** @internal */
  readonly keyStore: KeyStore;
}
