import type { Storage } from '../storage.js';
import { MemoryKeyStore } from './memory-key-store.js';

/**
 * Keeps all state in this process: nothing to install, nothing shared. For development, tests and
 * one-instance apps; a restart forgets the keys, so every token ends with the process.
 */
export function memoryStorage(): Storage {
  return { name: 'memoryStorage()', keyStore: new MemoryKeyStore() };
}
