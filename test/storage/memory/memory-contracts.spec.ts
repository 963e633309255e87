import { memoryStorage } from '../../../lib/storage/memory/memory-storage.js';
import { type ContractBackend, storeContracts } from '../../../lib/testing/index.js';
import { TestClock } from '../../support/test-clock.js';

async function backendWithItsClock(): Promise<ContractBackend> {
  const clock = new TestClock();
  const storage = memoryStorage({ clock });
  return {
    connect: async () => storage,
    dispose: async () => {},
    clock: { now: () => clock.now(), pass: (ms) => clock.advance(ms) },
  };
}

async function backendInRealTime(): Promise<ContractBackend> {
  const storage = memoryStorage();
  return { connect: async () => storage, dispose: async () => {} };
}

describe('memoryStorage keeps the contracts of all ports', () => {
  it.each(storeContracts({ newBackend: backendWithItsClock }))('$name', ({ run: assertKept }) =>
    assertKept(),
  );
});

describe('memoryStorage keeps them by the clock of the host as well', () => {
  it.each(storeContracts({ newBackend: backendInRealTime }))('$name', ({ run: assertKept }) =>
    assertKept(),
  );
});
