import { redisStorage } from '../../../lib/storage/redis/redis-storage.js';
import type { Storage } from '../../../lib/storage/storage.js';
import {
  describeWithRedis,
  eventually,
  type RedisServer,
  startRedis,
} from '../../support/redis-server.js';
import { carried, Listener } from './steady-load.js';

const HOUR = 3_600_000;

/** What is written to a primary that has lost its replica to the other side. */
describeWithRedis('who follows the log with replicas configured', () => {
  let server: RedisServer;
  let writer: Storage;
  let storage: Storage;

  beforeEach(async () => {
    server = await startRedis();
    writer = redisStorage({ url: server.url });
    storage = redisStorage({ url: server.url, replicas: 1, waitFor: '500ms' });
  });

  afterEach(async () => {
    await Promise.all([writer.close(), storage.close()]);
    await server.stop();
  });

  const startReplica = (): Promise<RedisServer> =>
    startRedis({ args: ['--replicaof', '127.0.0.1', String(server.port)] });

  /** Each is a page up to the end of the log, after which a follower would be current. */
  async function hearMore(listener: Listener): Promise<void> {
    for (let count = 0; count < 5; count++) {
      const data = `entry-${listener.heard.length}`;
      await carried(writer).revocationLog.append({ data, expiresAt: Date.now() + HOUR });
      await eventually('it is heard', () => listener.heard.includes(data));
    }
  }

  it('is not current on the side without them, hears on, and is current when they are back', async () => {
    const replica = await startReplica();
    try {
      const listener = new Listener(storage);
      await eventually('the follower is current', () => listener.currentAt > 0);
      await eventually('it is up', () => storage.status().state === 'up');

      await replica.command('REPLICAOF', 'NO', 'ONE');
      // Nothing but the follower asks for replicas here: it alone finds out.
      await eventually('the outage is known', () => storage.status().state === 'down');
      expect(storage.status().detail).toBe('too few replicas');
      const told = listener.currentAt;
      await hearMore(listener);
      expect(listener.currentAt).toBe(told);

      await replica.command('REPLICAOF', '127.0.0.1', String(server.port));
      await eventually('the follower is current', () => listener.currentAt > told);
      await eventually('it is up', () => storage.status().state === 'up');
    } finally {
      await replica.stop();
    }
  });

  it('is not current before there was one', async () => {
    const listener = new Listener(storage);
    await hearMore(listener);
    await eventually('the outage is known', () => storage.status().state === 'down');
    await hearMore(listener);
    expect(listener.currentAt).toBe(0);

    const replica = await startReplica();
    try {
      await eventually('the follower is current', () => listener.currentAt > 0);
    } finally {
      await replica.stop();
    }
  });
});
