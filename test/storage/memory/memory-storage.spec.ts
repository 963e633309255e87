import { AttemptStore } from '../../../lib/abuse/attempt-store.js';
import { ReplayStore } from '../../../lib/binding/replay-store.js';
import { KeyStore } from '../../../lib/keys/key-store.js';
import { RevocationLog } from '../../../lib/revocation/revocation-log.js';
import { SessionStore } from '../../../lib/sessions/session-store.js';
import {
  isAllowedInProduction,
  isMemoryStorage,
  memoryStorage,
  type MemoryStorageOptions,
} from '../../../lib/storage/memory/memory-storage.js';
import { TestClock } from '../../support/test-clock.js';

describe('memoryStorage', () => {
  it('names itself as it is written, and implements every port', () => {
    const storage = memoryStorage();
    expect(storage.name).toBe('memoryStorage()');
    expect(storage.reach).toBe('process');
    expect(storage.keyStore).toBeInstanceOf(KeyStore);
    expect(storage.revocationLog).toBeInstanceOf(RevocationLog);
    expect(storage.sessionStore).toBeInstanceOf(SessionStore);
    expect(storage.replayStore).toBeInstanceOf(ReplayStore);
    expect(storage.attemptStore).toBeInstanceOf(AttemptStore);
  });

  it('shares nothing between two of them', async () => {
    const first = memoryStorage();
    const second = memoryStorage();
    const claim = { key: 'key', expiresAt: 8e15 };
    await first.keyStore.replace({ expectedVersion: null, ring: 'a' });
    await first.replayStore.claimOnce(claim);
    expect((await second.keyStore.load()).stored).toBeNull();
    expect(await second.replayStore.claimOnce(claim)).toBe(true);
  });

  it('cannot be given another key store afterwards', () => {
    expect(Object.isFrozen(memoryStorage())).toBe(true);
  });

  it('is up since it was made, by its own clock', () => {
    const clock = new TestClock(1_000);
    const storage = memoryStorage({ clock });
    clock.advance(5_000);
    expect(storage.status()).toEqual({
      state: 'up',
      since: new Date(1_000),
      detail: 'in this process',
    });
  });

  it.each<[problem: string, options: object]>([
    ['maxEntries', { maxEntries: 0 }],
    ['maxEntries', { maxEntries: -1 }],
    ['maxEntries', { maxEntries: 1.5 }],
    ['maxEntries', { maxEntries: Infinity }],
    ['maxEntries', { maxEntries: NaN }],
    ['maxEntries', { maxEntries: '100' }],
    ['dangerouslyAllowInProduction', { dangerouslyAllowInProduction: false }],
    ['dangerouslyAllowInProduction', { dangerouslyAllowInProduction: 'no' }],
    ['maxEntrys', { maxEntrys: 1 }],
  ])('refuses a wrong %s: %j', (problem, options) => {
    expect(() => memoryStorage(options as MemoryStorageOptions)).toThrow(TypeError);
    expect(() => memoryStorage(options as MemoryStorageOptions)).toThrow(problem);
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

describe('isAllowedInProduction', () => {
  it('is so only for a memory storage that was made with the dangerous option', () => {
    const allowed = memoryStorage({ dangerouslyAllowInProduction: true });
    expect(isAllowedInProduction(allowed)).toBe(true);
    expect(isAllowedInProduction(memoryStorage())).toBe(false);
    expect(isAllowedInProduction({ ...allowed })).toBe(false);
  });
});
