import type { Cluster, Redis } from 'ioredis';

import { storeContracts } from '../../../lib/testing/index.js';
import { redisStorage } from '../../../lib/storage/redis/redis-storage.js';
import { describeWithRedis } from '../../support/redis-server.js';
import {
  type RedisCluster,
  type SentinelSet,
  startCluster,
  startSentinelSet,
} from '../../support/redis-topologies.js';

let backends = 0;

/** The contracts, on whatever a client of the app is connected to. */
function proveContracts(client: () => Redis | Cluster, settings: { replicas?: number } = {}): void {
  const contracts = storeContracts({
    newBackend: async () => {
      const keyPrefix = `contract-${backends++}:`;
      return {
        connect: async () =>
          redisStorage({ client: client(), keyPrefix, deadline: '2s', waitFor: '1s', ...settings }),
        dispose: async () => {},
      };
    },
  });
  it.each(contracts.map(({ name, run }) => ({ name, run })))('$name', async ({ run }) => {
    await expect(run()).resolves.toBeUndefined();
  });
}

describeWithRedis('redisStorage() keeps the contracts on a Cluster of three masters', () => {
  let cluster: RedisCluster;
  let client: Cluster;

  beforeAll(async () => {
    cluster = await startCluster(0);
    client = cluster.connect();
  });

  afterAll(async () => {
    client.disconnect();
    await cluster.stop();
  });

  proveContracts(() => client);
});

describeWithRedis('redisStorage() keeps the contracts behind Sentinels, replicas awaited', () => {
  let set: SentinelSet;
  let client: Redis;

  beforeAll(async () => {
    set = await startSentinelSet(1);
    client = set.connect();
  });

  afterAll(async () => {
    client.disconnect();
    await set.stop();
  });

  proveContracts(() => client, { replicas: 1 });
});
