import { memoryStorage } from '../../../lib/storage/memory/memory-storage.js';
import { type ContractBackend, storeContracts } from '../../../lib/testing/index.js';
import { memoryBackend } from '../../testing/memory-backend.js';

async function backendInRealTime(): Promise<ContractBackend> {
  const storage = memoryStorage();
  return { connect: async () => storage, dispose: async () => {} };
}

describe('memoryStorage keeps the contracts of all ports', () => {
  it.each(storeContracts({ newBackend: () => memoryBackend() }))('$name', ({ run: assertKept }) =>
    assertKept(),
  );
});

describe('memoryStorage keeps them by the clock of the host as well', () => {
  it.each(storeContracts({ newBackend: backendInRealTime }))('$name', ({ run: assertKept }) =>
    assertKept(),
  );
});
