import { memoryStorage } from '../../lib/storage/memory/memory-storage.js';
import type { Storage } from '../../lib/storage/storage.js';
import type { ContractBackend } from '../../lib/testing/index.js';
import { TestClock } from '../support/test-clock.js';

/** Memory as a backend of the contracts: all its instances are one storage, and its clock is moved. */
export async function memoryBackend(
  spoil: (storage: Storage) => Storage = (storage) => storage,
): Promise<ContractBackend> {
  const clock = new TestClock();
  const storage = spoil(memoryStorage({ clock }));
  return {
    connect: async () => storage,
    dispose: async () => {},
    clock: { now: () => clock.now(), pass: (ms) => clock.advance(ms) },
  };
}
