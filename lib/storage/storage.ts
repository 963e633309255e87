import type { KeyStore } from '../keys/key-store.js';

/** One place to keep state, as a set of adapters for every port. */
export interface Storage {
  /** How messages call it. */
  readonly name: string;
  readonly keyStore: KeyStore;
}
