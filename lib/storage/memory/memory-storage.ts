import type { AttemptStore } from '../../abuse/attempt-store.js';
import type { ReplayStore } from '../../binding/replay-store.js';
import { type Clock, SystemClock } from '../../kernel/clock.js';
import type { KeyStore } from '../../keys/key-store.js';
import type { RevocationLog } from '../../revocation/revocation-log.js';
import type { SessionStore } from '../../sessions/session-store.js';
import type { Storage, StorageStatus } from '../storage.js';
import { MemoryAttemptStore } from './memory-attempt-store.js';
import { MemoryKeyStore } from './memory-key-store.js';
import { MemoryReplayStore } from './memory-replay-store.js';
import { MemoryRevocationLog } from './memory-revocation-log.js';
import { MemorySessionStore } from './memory-session-store.js';

/** How `memoryStorage` keeps state. */
export interface MemoryStorageOptions {
  /**
   * How many entries each port keeps: sessions, revocations, claims, counted keys. When they are so
   * many and none has expired, new ones are denied (`ERR_STORE_FULL`); nothing is thrown away.
   * A session takes up to 16 KiB, anything else up to 2 KiB.
   * @defaultValue `100_000`
   */
  readonly maxEntries?: number;
  /** @defaultValue the host's clock */
  readonly clock?: Clock;
  /**
   * With `NODE_ENV=production` memory is refused unless this is `true`: a restart forgets all keys,
   * sessions and revocations, and a second instance knows nothing of them.
   * @defaultValue refused in production
   */
  readonly dangerouslyAllowInProduction?: true;
}

/** A storage that carries every port. */
export interface MemoryStorage extends Storage {
  readonly reach: 'process';
  readonly keyStore: KeyStore;
  readonly revocationLog: RevocationLog;
  readonly sessionStore: SessionStore;
  readonly replayStore: ReplayStore;
  readonly attemptStore: AttemptStore;
}

const OPTIONS: readonly string[] = ['maxEntries', 'clock', 'dangerouslyAllowInProduction'];

const made = new WeakMap<object, 'allowed in production' | 'refused in production'>();

/**
 * Keeps all state in this process: nothing to install, nothing shared. For development, tests and
 * one-instance apps; a restart forgets the keys, so every token ends with the process.
 * @throws TypeError for an option that does not exist, or not with this value
 */
export function memoryStorage(options: MemoryStorageOptions = {}): MemoryStorage {
  const { maxEntries = 100_000, clock = new SystemClock(), dangerouslyAllowInProduction } = options;
  const unknown = Object.keys(options).find((name) => !OPTIONS.includes(name));
  if (unknown !== undefined) throw new TypeError(`memoryStorage() has no option ${unknown}.`);
  if (!(Number.isSafeInteger(maxEntries) && maxEntries > 0)) {
    throw new TypeError('memoryStorage(): maxEntries is a positive whole number.');
  }
  if (dangerouslyAllowInProduction !== undefined && dangerouslyAllowInProduction !== true) {
    throw new TypeError('memoryStorage(): dangerouslyAllowInProduction is true, or left out.');
  }
  const ports = {
    keyStore: new MemoryKeyStore(),
    revocationLog: new MemoryRevocationLog(maxEntries, clock),
    sessionStore: new MemorySessionStore(maxEntries, clock),
    replayStore: new MemoryReplayStore(maxEntries, clock),
    attemptStore: new MemoryAttemptStore(maxEntries, clock),
  };
  const status: StorageStatus = Object.freeze({
    state: 'up',
    since: new Date(clock.now()),
    detail: 'in this process',
  });
  const storage: MemoryStorage = Object.freeze({
    name: 'memoryStorage()',
    reach: 'process',
    ...ports,
    status: () => status,
    // It never changes.
    onStatus: () => () => {},
    close: async () => {
      for (const port of Object.values(ports)) port.close();
    },
  });
  const allowed = dangerouslyAllowInProduction === true;
  made.set(storage, allowed ? 'allowed in production' : 'refused in production');
  return storage;
}

/**
 * Whether this is such a storage. Nothing else may hold the key ring: it would leave the process with
 * its private keys in clear.
 */
export function isMemoryStorage(value: unknown): value is MemoryStorage {
  return typeof value === 'object' && value !== null && made.has(value);
}

/** Whether it was made with `dangerouslyAllowInProduction`. */
export function isAllowedInProduction(storage: Storage): boolean {
  return made.get(storage) === 'allowed in production';
}
