import { type Clock, SystemClock } from '../../kernel/clock.js';
import type { Storage, StorageStatus } from '../storage.js';
import { StoreHealth } from '../store-health.js';
import { LogFollowers } from './log-followers.js';
import { RedisAttemptStore } from './redis-attempt-store.js';
import { openClient, type RedisClient } from './redis-clients.js';
import { RedisGate } from './redis-gate.js';
import { RedisKeyStore } from './redis-key-store.js';
import { RedisKeys } from './redis-keys.js';
import {
  type RedisStorageOptions,
  type RedisStorageSettings,
  type ResolvedRedisOptions,
  resolveRedisOptions,
} from './redis-options.js';
import { RedisReplayStore } from './redis-replay-store.js';
import { RedisRevocationLog } from './redis-revocation-log.js';
import { RedisSessionStore } from './redis-session-store.js';
import { RingWatch } from './ring-watch.js';

export type { RedisClient, RedisStorageOptions, RedisStorageSettings };

/**
 * Keeps all state in Redis 6.2 or later, for any number of instances: one server, a primary behind
 * Sentinels, or a Cluster. Connects when it is first used.
 *
 * Every call ends within its deadline; what Redis does not answer is an error, never a guess.
 * @throws ConfigError `ERR_CONFIG_INVALID` with everything that is wrong with the options
 */
export function redisStorage(options: RedisStorageOptions): Storage {
  return new RedisStorage(resolveRedisOptions(options), new SystemClock());
}

class RedisStorage implements Storage {
  readonly name = 'redisStorage()';
  readonly reach = 'shared';
  readonly keyStore: RedisKeyStore;
  readonly revocationLog: RedisRevocationLog;
  readonly sessionStore: RedisSessionStore;
  readonly replayStore: RedisReplayStore;
  readonly attemptStore: RedisAttemptStore;
  readonly #health: StoreHealth;
  readonly #gates: ReadonlySet<RedisGate>;
  readonly #ringWatch: RingWatch;
  readonly #followers: LogFollowers;
  #closing: Promise<void> | undefined;

  constructor({ source, prefix, limits, durableLimits }: ResolvedRedisOptions, clock: Clock) {
    const keys = new RedisKeys(prefix);
    this.#health = new StoreHealth(clock);
    const gate = new RedisGate(openClient(source), limits, keys, this.#health, clock);
    // Waiting for replicas blocks a connection, and with it whatever else would go over it.
    const durable =
      durableLimits === limits
        ? gate
        : new RedisGate(openClient(source), durableLimits, keys, this.#health, clock);
    this.#gates = new Set([gate, durable]);
    this.#ringWatch = new RingWatch(source, gate, keys);
    // A primary without its replicas may have been replaced by one of them: what was revoked there
    // it does not know.
    const isProven = (): boolean => gate.isProven(keys.log()) && durable.isProven(keys.log());
    this.#followers = new LogFollowers(source, keys.log(), clock, isProven);
    this.keyStore = new RedisKeyStore(gate, durable, keys, this.#ringWatch);
    this.revocationLog = new RedisRevocationLog(gate, durable, keys, this.#followers);
    this.sessionStore = new RedisSessionStore(gate, durable, keys);
    this.replayStore = new RedisReplayStore(durable, keys);
    this.attemptStore = new RedisAttemptStore(gate, keys);
    Object.freeze(this);
  }

  status(): StorageStatus {
    return this.#health.status;
  }

  onStatus(listener: (status: StorageStatus) => void): () => void {
    return this.#health.onChange(listener);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#health.close();
    this.#ringWatch.close();
    this.#followers.close();
    await Promise.all([...this.#gates].map((gate) => gate.close()));
  }
}
