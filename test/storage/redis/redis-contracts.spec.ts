import { storeContracts } from '../../../lib/testing/index.js';
import { redisStorage } from '../../../lib/storage/redis/redis-storage.js';
import { describeWithRedis, type RedisServer, startRedis } from '../../support/redis-server.js';

describeWithRedis('redisStorage() keeps the contracts on one server', () => {
  let server: RedisServer;
  let backends = 0;

  beforeAll(async () => {
    server = await startRedis();
  });

  afterAll(() => server.stop());

  const contracts = storeContracts({
    newBackend: async () => {
      const keyPrefix = `contract-${backends++}:`;
      return {
        // A longer deadline, because nothing here is about outages and machines can be busy.
        connect: async () => redisStorage({ url: server.url, keyPrefix, deadline: '2s' }),
        dispose: async () => {},
      };
    },
    wipe: async () => void (await server.command('FLUSHALL')),
  });

  it.each(contracts.map(({ name, run }) => ({ name, run })))('$name', async ({ run }) => {
    await expect(run()).resolves.toBeUndefined();
  });
});
