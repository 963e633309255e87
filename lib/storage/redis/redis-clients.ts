import { type Cluster, type ClusterOptions, Redis, type RedisOptions } from 'ioredis';

import { randomUpTo } from '../../kernel/ids.js';
import { replyCodeOf } from './redis-failure.js';

/** A client of `ioredis`: to one server, through Sentinels, or to a Cluster. */
export type RedisClient = Redis | Cluster;

export function isCluster(client: RedisClient): client is Cluster {
  return client.isCluster;
}

/** Where the connections go: an address of our own, or wherever the app's client goes. */
export type RedisSource = { readonly url: string } | { readonly client: RedisClient };

const FIRST_RETRY_AFTER = 50;
const MAX_RETRY_AFTER = 2_000;

/** Milliseconds before the next attempt: doubling, capped, and spread so that instances take turns. */
export function retryAfter(attempt: number): number {
  const full = Math.min(FIRST_RETRY_AFTER * 2 ** Math.min(attempt - 1, 16), MAX_RETRY_AFTER);
  return full / 2 + randomUpTo(full / 2);
}

/**
 * What this package needs of a connection, whatever the app's client does: nothing is queued while
 * disconnected, nothing is sent a second time (a script would run twice), and only replies in their
 * classic form.
 */
const CONNECTION = {
  lazyConnect: true,
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  autoResubscribe: false,
  enableAutoPipelining: false,
  enableReadyCheck: true,
  maxRetriesPerRequest: 0,
  retryStrategy: retryAfter,
  sentinelRetryStrategy: retryAfter,
  sentinelReconnectStrategy: retryAfter,
  // A former primary answers so after a failover: connecting anew finds the present one.
  reconnectOnError: (error: Error): boolean => replyCodeOf(error) === 'READONLY',
  // Behind Sentinels: whatever the app's client reads from, a replica is no place to judge at.
  role: 'master',
  connectTimeout: 2_000,
  disconnectTimeout: 200,
  keyPrefix: '',
  readOnly: false,
  stringNumbers: false,
  protocol: 2,
  replyMapping: 'legacy',
} as const satisfies RedisOptions;

/** As above; a node that is lost is looked for in the slot table instead of being retried. */
const CLUSTER = {
  lazyConnect: true,
  // Commands wait here only while a node is being connected, and no longer than their deadline.
  enableOfflineQueue: true,
  enableAutoPipelining: false,
  enableReadyCheck: true,
  scaleReads: 'master',
  clusterRetryStrategy: retryAfter,
  retryDelayOnFailover: 0,
  retryDelayOnClusterDown: 0,
  // Its timer can outlive the client; OutageWatch refreshes the slots instead.
  slotsRefreshInterval: 0,
  slotsRefreshTimeout: 1_000,
  keyPrefix: '',
} as const satisfies ClusterOptions;

/** A connection of our own to that place; it connects when it is told to. */
export function openClient(source: RedisSource): RedisClient {
  const client =
    'url' in source ? new Redis(source.url, CONNECTION) : duplicateClient(source.client);
  // Without a listener ioredis prints the error, with the address in it. What matters of it reaches
  // the caller whose command failed.
  client.on('error', ignore);
  client.on('node error', ignore);
  return client;
}

/**
 * The app's client is never used itself: its blocking commands, its queue and its key prefix stay
 * its own, and it may be closed at any time.
 */
function duplicateClient(client: RedisClient): RedisClient {
  if (!isCluster(client)) return client.duplicate(CONNECTION);
  const { retryStrategy: _, enableOfflineQueue: __, ...node } = CONNECTION;
  return client.duplicate([], {
    ...CLUSTER,
    redisOptions: { ...client.options.redisOptions, ...node },
  });
}

/** The prefix the app gave its client, which applies to what the app stores through it. */
export function prefixOf(client: RedisClient): string {
  return client.options.keyPrefix ?? '';
}

function ignore(): void {}
