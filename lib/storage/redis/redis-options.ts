import { type Duration, durationToMs, formatDuration } from '../../kernel/duration.js';
import { ConfigError, type ConfigProblem } from '../../kernel/errors.js';
import { prefixOf, type RedisClient, type RedisSource } from './redis-clients.js';
import type { GateLimits } from './redis-gate.js';

/** How `redisStorage()` behaves, wherever it is connected to. */
export interface RedisStorageSettings {
  /**
   * What the names of all keys begin with, to keep applications on one Redis apart. Instances of one
   * application must agree on it. Up to 64 characters of `A-Z a-z 0-9 _ - . : /`.
   * @defaultValue `'njh:'`
   */
  readonly keyPrefix?: string;
  /**
   * How long one call may take, waiting for a connection included, from 10 ms to 10 s. Then it
   * rejects with `ERR_STORE_UNAVAILABLE`, and whether it was carried out is unknown; all calls can be
   * repeated safely.
   * @defaultValue `'100ms'`
   */
  readonly deadline?: Duration;
  /**
   * How long calls wait for the very first connection, from 100 ms to 1 min; later ones are waited
   * for no longer than `deadline`.
   * @defaultValue `'5s'`
   */
  readonly connectTimeout?: Duration;
  /**
   * How many calls may be under way at once, from 1 to 100 000. More are refused at once, so that a
   * slow Redis does not fill the memory of this process.
   * @defaultValue `1000`
   */
  readonly maxPending?: number;
  /**
   * How many replicas must have a change of keys, sessions, revocations or claims before it counts as
   * made, from 0 to 16. With 0 a failover can forget the changes of its last moments, a revocation
   * among them; with 1 or more a change is an error while so many replicas are not there, and the
   * storage is down. What was under way when they went away may have been made nevertheless.
   * @defaultValue `0`
   */
  readonly replicas?: number;
  /**
   * How long those replicas have, from 1 ms to 10 s; added to `deadline`.
   * @defaultValue `'50ms'`
   */
  readonly waitFor?: Duration;
}

/**
 * Where Redis is, and how it is used. It must not evict keys (`maxmemory-policy noeviction`):
 * a forgotten claim could be used again.
 */
export type RedisStorageOptions = RedisStorageSettings &
  (
    | {
        /** `redis://` or, over TLS, `rediss://`; user, password and database number may be in it. */
        readonly url: string;
        readonly client?: never;
      }
    | {
        /**
         * A client of `ioredis`, also one made for Sentinels, or a Cluster. Its settings are taken over
         * for connections of our own; it is never used or closed itself.
         */
        readonly client: RedisClient;
        readonly url?: never;
      }
  );

/** What was written, read and completed. */
export interface ResolvedRedisOptions {
  readonly source: RedisSource;
  readonly prefix: string;
  readonly limits: GateLimits;
  /** For what must outlive a failover. */
  readonly durableLimits: GateLimits;
}

const OPTIONS = [
  'url',
  'client',
  'keyPrefix',
  'deadline',
  'connectTimeout',
  'maxPending',
  'replicas',
  'waitFor',
] as const;
type Option = (typeof OPTIONS)[number];

const PREFIX = /^[A-Za-z0-9_\-.:/]{0,64}$/;

/**
 * Reads the options and reports all that is wrong with them at once. Values never appear in a
 * problem: an address can hold a password.
 * @throws ConfigError `ERR_CONFIG_INVALID`
 */
export function resolveRedisOptions(options: unknown): ResolvedRedisOptions {
  const reader = new RedisOptionReader(options);
  reader.expectKnown();
  const source = reader.source();
  const prefix = reader.prefix(source);
  const deadline = reader.duration('deadline', { fallback: 100, min: 10, max: 10_000 });
  const connectTimeout = reader.duration('connectTimeout', {
    fallback: 5_000,
    min: 100,
    max: 60_000,
  });
  const maxPending = reader.whole('maxPending', { fallback: 1_000, min: 1, max: 100_000 });
  const replicas = reader.whole('replicas', { fallback: 0, min: 0, max: 16 });
  const waitFor = reader.duration('waitFor', { fallback: 50, min: 1, max: 10_000 });
  if (source === undefined || reader.problems.length > 0) {
    throw new ConfigError('ERR_CONFIG_INVALID', reader.problems);
  }
  const limits = { deadline, connectTimeout, maxPending, replication: null };
  const durableLimits =
    replicas === 0
      ? limits
      : { ...limits, deadline: deadline + waitFor, replication: { replicas, waitFor } };
  return { source, prefix, limits, durableLimits };
}

class RedisOptionReader {
  readonly #options: Readonly<Partial<Record<Option, unknown>>>;
  readonly #problems: ConfigProblem[] = [];

  constructor(options: unknown) {
    const isObject = typeof options === 'object' && options !== null;
    this.#options = isObject ? { ...options } : {};
  }

  get problems(): readonly ConfigProblem[] {
    return this.#problems;
  }

  expectKnown(): void {
    const known: readonly string[] = OPTIONS;
    for (const name of Object.keys(this.#options).filter((key) => !known.includes(key))) {
      this.#add(name, 'it is not an option', `Known are ${OPTIONS.join(', ')}`);
    }
  }

  source(): RedisSource | undefined {
    const { url, client } = this.#options;
    if (url !== undefined && client !== undefined) {
      this.#add('url', 'it is given beside client', 'Write one of the two');
    } else if (client !== undefined) {
      if (isRedisClient(client)) return { client };
      this.#add(
        'client',
        'it is no client of ioredis',
        'Write new Redis(...) or new Cluster(...) of ioredis',
      );
    } else if (typeof url === 'string' && isRedisUrl(url)) {
      return { url };
    } else {
      const problem = url === undefined ? 'it is missing' : `it is ${kindOf(url)}`;
      this.#add(
        'url',
        problem,
        "Write 'redis://host:6379/0' or 'rediss://…', without a query; for other settings give a client",
      );
    }
    return undefined;
  }

  prefix(source: RedisSource | undefined): string {
    const { keyPrefix = 'njh:' } = this.#options;
    if (typeof keyPrefix !== 'string' || !PREFIX.test(keyPrefix)) {
      this.#add(
        'keyPrefix',
        `it is ${kindOf(keyPrefix)}`,
        'Write up to 64 characters of A-Z a-z 0-9 _ - . : / (braces would decide the Cluster slot)',
      );
      return '';
    }
    const outer = source !== undefined && 'client' in source ? prefixOf(source.client) : '';
    if (/[{}]/.test(outer)) {
      this.#add(
        'client',
        'its key prefix has braces',
        'Give a client without it: braces decide the Cluster slot',
      );
    }
    return `${outer}${keyPrefix}`;
  }

  duration(
    name: Option,
    {
      fallback,
      min,
      max,
    }: { readonly fallback: number; readonly min: number; readonly max: number },
  ): number {
    const value = this.#options[name];
    if (value === undefined) return fallback;
    const ms = durationToMs(value);
    if (ms !== undefined && ms >= min && ms <= max) return ms;
    const problem =
      ms === undefined ? `it is ${kindOf(value)}` : `it is too ${ms < min ? 'short' : 'long'}`;
    this.#add(name, problem, `Write '${formatDuration(min)}' to '${formatDuration(max)}'`);
    return fallback;
  }

  whole(
    name: Option,
    {
      fallback,
      min,
      max,
    }: { readonly fallback: number; readonly min: number; readonly max: number },
  ): number {
    const value = this.#options[name];
    if (value === undefined) return fallback;
    if (Number.isInteger(value) && Number(value) >= min && Number(value) <= max) {
      return Number(value);
    }
    this.#add(name, `it is ${kindOf(value)}`, `Write a whole number from ${min} to ${max}`);
    return fallback;
  }

  #add(name: string, problem: string, fix: string): void {
    this.#problems.push({ path: `storage.${name}`, problem, fix });
  }
}

/** By what it can do: the app may have another copy of ioredis. */
function isRedisClient(value: unknown): value is RedisClient {
  if (typeof value !== 'object' || value === null) return false;
  const { isCluster, duplicate, options } = value as Partial<Record<string, unknown>>;
  return (
    typeof isCluster === 'boolean' &&
    typeof duplicate === 'function' &&
    typeof options === 'object' &&
    options !== null
  );
}

function isRedisUrl(text: string): boolean {
  // ioredis would take a query for options, of which none was checked.
  if (!URL.canParse(text) || /[?#\s]/.test(text)) return false;
  const { protocol, hostname, pathname } = new URL(text);
  return /^rediss?:$/.test(protocol) && hostname !== '' && /^(?:\/\d{0,4})?$/.test(pathname);
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (value === '') return 'an empty text';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'string') return 'a text of another form';
  if (typeof value === 'number') return 'another number';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}
