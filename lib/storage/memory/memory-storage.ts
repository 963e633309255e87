import type { Storage } from '../storage.js';
import { MemoryKeyStore } from './memory-key-store.js';

const made = new WeakSet<object>();

/**
 * Keeps all state in this process: nothing to install, nothing shared. For development, tests and
 * one-instance apps; a restart forgets the keys, so every token ends with the process.
 */
export function memoryStorage(): Storage {
  const storage = Object.freeze({ name: 'memoryStorage()', keyStore: new MemoryKeyStore() });
  made.add(storage);
  return storage;
}

/**
 * Whether this is such a storage. Nothing else may hold the key ring: it would leave the process with
 * its private keys in clear.
 */
export function isMemoryStorage(value: unknown): value is Storage {
  return typeof value === 'object' && value !== null && made.has(value);
}
