import { cacheManagerStorage } from '../../../lib/storage/cache-manager/cache-manager-storage.js';
import { storeContracts } from '../../../lib/testing/index.js';
import { cachesOver, RemoteBackend } from './shared-caches.js';

const PART = { ports: ['revocationLog'], logOrder: 'own' } as const;

describe('cacheManagerStorage keeps the contract of the one port it carries', () => {
  const newBackend = async () => {
    const backend = new RemoteBackend();
    return { backend, connect: async () => backend.connect(), dispose: async () => {} };
  };
  const wipe = async ({ backend }: { readonly backend: RemoteBackend }) => backend.texts.clear();

  it.each(storeContracts({ newBackend, wipe, ...PART }))('$name', ({ run: assertKept }) =>
    assertKept(),
  );
});

describe('cacheManagerStorage keeps it with a Map, as Keyv has it', () => {
  const newBackend = async () => {
    const map = new Map<string, unknown>();
    const newCache = cachesOver(map);
    return { map, connect: async () => cacheManagerStorage(newCache()), dispose: async () => {} };
  };
  const wipe = async ({ map }: { readonly map: Map<string, unknown> }) => map.clear();

  it.each(storeContracts({ newBackend, wipe, ...PART }))('$name', ({ run: assertKept }) =>
    assertKept(),
  );
});
