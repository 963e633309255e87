import type { KeysConfig } from '../keys/key-ring.service.js';
import {
  isAllowedInProduction,
  isMemoryStorage,
  memoryStorage,
} from '../storage/memory/memory-storage.js';
import { NotCarried, type Storage } from '../storage/storage.js';
import type { OptionReader } from './option-reader.js';
import { HOUR, SECOND } from './units.js';

const PORTS = ['keyStore', 'revocationLog', 'sessionStore', 'replayStore', 'attemptStore'] as const;

const FIX =
  'Write memoryStorage(), redisStorage(…), cacheManagerStorage(…), or a Storage of your own';

export function readStorage(reader: OptionReader, nodeEnv: string | undefined): Storage {
  const value = reader.get('storage');
  const storage = value === undefined ? memoryStorage() : value;
  if (!isStorage(storage)) {
    reader.refuse('storage', FIX);
    return memoryStorage();
  }
  if (nodeEnv === 'production' && isMemoryStorage(storage) && !isAllowedInProduction(storage)) {
    reader.add(
      'storage',
      `${value === undefined ? 'it is missing' : 'it is memoryStorage()'}, and NODE_ENV is production: a restart would forget every key and revocation, and no other instance would know them`,
      'Write redisStorage(…), or memoryStorage({ dangerouslyAllowInProduction: true }) for one instance that may forget',
    );
  }
  return storage;
}

/** The features in use that the storage cannot carry, each refused by name and reason. */
export function checkCarried(
  reader: OptionReader,
  { name, keyStore, revocationLog }: Storage,
  { staticKeys }: Pick<KeysConfig, 'staticKeys'>,
): void {
  if (staticKeys === null && keyStore instanceof NotCarried) {
    reader.add(
      'storage',
      `${name} cannot carry rotating keys: ${keyStore.reason}`,
      'Write redisStorage(…), or bring a key as keys.signingKey',
    );
  }
  if (revocationLog instanceof NotCarried) {
    reader.add(
      'storage',
      `${name} cannot carry revocation: ${revocationLog.reason}`,
      'Write redisStorage(…), or a Storage whose revocationLog does',
    );
  }
}

export function readOutage(reader: OptionReader): Pick<KeysConfig, 'maxLag' | 'onStale'> {
  reader.expectOnly('outage', ['maxLag', 'onStale']);
  return {
    // Less than what one missed heartbeat takes would refuse requests for nothing.
    maxLag: reader.duration('outage.maxLag', 5 * SECOND, { min: 2 * SECOND, max: HOUR }),
    onStale: reader.oneOf('outage.onStale', ['reject', 'acceptWithAlert'], 'reject'),
  };
}

function isStorage(value: unknown): value is Storage {
  if (typeof value !== 'object' || value === null) return false;
  const storage = value as Partial<Storage>;
  return (
    typeof storage.name === 'string' &&
    (storage.reach === 'process' || storage.reach === 'shared') &&
    PORTS.every((port) => typeof storage[port] === 'object' && storage[port] !== null) &&
    [storage.status, storage.onStatus, storage.close].every((verb) => typeof verb === 'function')
  );
}
