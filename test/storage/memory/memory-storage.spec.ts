import { KeyStore } from '../../../lib/keys/key-store.js';
import { isMemoryStorage, memoryStorage } from '../../../lib/storage/memory/memory-storage.js';

describe('memoryStorage', () => {
  it('names itself as it is written, and implements every port', () => {
    const storage = memoryStorage();
    expect(storage.name).toBe('memoryStorage()');
    expect(storage.keyStore).toBeInstanceOf(KeyStore);
  });

  it('shares nothing between two of them', async () => {
    const first = memoryStorage();
    const second = memoryStorage();
    await first.keyStore.replace({ expectedVersion: null, ring: 'a' });
    expect(await second.keyStore.load()).toBeNull();
  });

  it('cannot be given another key store afterwards', () => {
    expect(Object.isFrozen(memoryStorage())).toBe(true);
  });
});

describe('isMemoryStorage', () => {
  it('knows its own, and nothing that looks like one: keys would leave in clear', () => {
    const real = memoryStorage();
    expect(isMemoryStorage(real)).toBe(true);
    const lookalikes: unknown[] = [
      { ...real },
      Object.create(real),
      new Proxy(real, {}),
      { name: 'memoryStorage()', keyStore: real.keyStore },
      real.keyStore,
      'memoryStorage()',
      memoryStorage,
      {},
      [],
      null,
      undefined,
    ];
    expect(lookalikes.filter(isMemoryStorage)).toEqual([]);
  });
});
