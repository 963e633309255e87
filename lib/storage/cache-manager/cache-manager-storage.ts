import type { Cache } from 'cache-manager';

import { type Clock, SystemClock } from '../../kernel/clock.js';
import { type Duration, durationToMs } from '../../kernel/duration.js';
import type { RevocationLog } from '../../revocation/revocation-log.js';
import { NotCarried, type Storage } from '../storage.js';
import { StoreHealth } from '../store-health.js';
import { CacheRevocationLog } from './cache-revocation-log.js';
import { CacheShelf, whyNotListed } from './cache-shelf.js';

export { cachedSubjects } from './cached-subjects.js';
export type { CachedSubjectsOptions } from './cached-subjects.js';

/** How `cacheManagerStorage` uses a cache. */
export interface CacheManagerStorageOptions {
  /**
   * How long a call of the backend may take; after that it counts as failed. The revocation log lists
   * the whole cache about twice a second, so a cache of its own keeps this short.
   * @defaultValue `'1s'`
   */
  readonly deadline?: Duration;
  /**
   * How many revocations are kept. When there are so many, new ones are denied (`ERR_STORE_FULL`).
   * @defaultValue `100_000`
   */
  readonly maxEntries?: number;
  /** @defaultValue the host's clock */
  readonly clock?: Clock;
}

/** A storage that carries the revocation log at most. */
export interface CacheManagerStorage extends Storage {
  readonly keyStore: NotCarried;
  readonly revocationLog: RevocationLog | NotCarried;
  readonly sessionStore: NotCarried;
  readonly replayStore: NotCarried;
  readonly attemptStore: NotCarried;
}

const OPTIONS: readonly string[] = ['deadline', 'maxEntries', 'clock'];

/**
 * Keeps what a cache can carry: any Keyv backend behind `cache-manager` 7. Keyv can put, get and list,
 * but change nothing atomically; so only revocations are carried, which are never changed.
 *
 * The backend must not evict: a revocation it drops to make room is found missing and reported as
 * `lost`, but until then its token passes on instances that start anew. In a cache that lives in this
 * process (a `Map`) the log is not shared.
 * @throws TypeError for something that is no cache, or an option that does not exist
 */
export function cacheManagerStorage(
  cache: Cache,
  options: CacheManagerStorageOptions = {},
): CacheManagerStorage {
  if (!Array.isArray(cache?.stores)) {
    throw new TypeError('cacheManagerStorage() takes a cache: createCache() of cache-manager.');
  }
  const { deadline = '1s', maxEntries = 100_000, clock = new SystemClock() } = options;
  const unknown = Object.keys(options).find((name) => !OPTIONS.includes(name));
  if (unknown !== undefined) throw new TypeError(`cacheManagerStorage() has no option ${unknown}.`);
  const deadlineMs = durationToMs(deadline);
  if (deadlineMs === undefined || deadlineMs < 1 || deadlineMs > 60_000) {
    throw new TypeError(`cacheManagerStorage(): deadline is '1ms' to '60s', such as '1s'.`);
  }
  if (!(Number.isSafeInteger(maxEntries) && maxEntries > 0)) {
    throw new TypeError('cacheManagerStorage(): maxEntries is a positive whole number.');
  }
  const health = new StoreHealth(clock);
  const [store] = cache.stores;
  const reason = whyNotListed(cache);
  const log =
    store === undefined || reason !== null
      ? new NotCarried(reason ?? 'its cache has no store')
      : new CacheRevocationLog(new CacheShelf(store, health, deadlineMs), clock, maxEntries);
  const storage: CacheManagerStorage = {
    name: 'cacheManagerStorage()',
    reach: store?.store instanceof Map ? 'process' : 'shared',
    keyStore: new NotCarried(
      'its backend has no compare-and-swap, so that two instances could each make a signing key',
    ),
    revocationLog: log,
    sessionStore: new NotCarried(
      'its backend has no compare-and-swap, so that a refresh token could be used twice at once',
    ),
    replayStore: new NotCarried(
      'its backend has no put-if-absent, so that two instances could each grant what is for one use',
    ),
    attemptStore: new NotCarried(
      'its backend has no atomic counter, so that parallel attempts would count as one',
    ),
    status: () => health.status,
    onStatus: (listener) => health.onChange(listener),
    close: async () => {
      if (log instanceof CacheRevocationLog) log.close();
    },
  };
  return Object.freeze(storage);
}
