import { Redis } from 'ioredis';

import { slotOf } from '../../../lib/storage/redis/cluster-slot.js';
import { openClient } from '../../../lib/storage/redis/redis-clients.js';
import { redisStorage } from '../../../lib/storage/redis/redis-storage.js';
import type { Storage } from '../../../lib/storage/storage.js';
import { describeWithRedis, type RedisServer, startRedis } from '../../support/redis-server.js';
import { startCluster } from '../../support/redis-topologies.js';
import { carried, digest } from './steady-load.js';

const HOUR = 3_600_000;
const TOO_LONG = 401 * 24 * HOUR;
const TOKEN = { lineage: digest('l'), secret: digest('0'), binding: null };

const INDEX = 'njh:sessions:{owner}';

type SessionStore = ReturnType<typeof carried>['sessionStore'];

function begin(store: SessionStore, id: string, atMost = 100): Promise<readonly string[] | null> {
  const times = { idleFor: HOUR, absoluteFor: HOUR, atMost };
  return store.create({ key: { owner: 'owner', id }, ...TOKEN, data: '', ...times });
}

describeWithRedis('what runs inside Redis', () => {
  let server: RedisServer;
  let storage: Storage;

  beforeEach(async () => {
    server = await startRedis();
    storage = redisStorage({ url: server.url, deadline: '2s' });
  });

  afterEach(async () => {
    await storage.close();
    await server.stop();
  });

  it('opens no grace window for a clock that was set back', async () => {
    const { sessionStore } = carried(storage);
    await begin(sessionStore, 'id');
    const rotation = {
      presented: { key: { owner: 'owner', id: 'id' }, ...TOKEN },
      next: { secret: digest('1'), sealed: 'sealed', data: null },
      graceFor: HOUR,
      askedAt: null,
    };
    await sessionStore.rotate(rotation);
    const ahead = String(Date.now() + 10_000);
    await server.command('HSET', 'njh:session:{owner}:id', 'rotated', ahead);
    expect(await sessionStore.find(rotation.presented)).toMatchObject({ shown: 'other' });
    expect(await sessionStore.rotate(rotation)).toMatchObject({ misuse: 'recent' });
  });

  it('nor for who says to have asked before it was', async () => {
    const { sessionStore } = carried(storage);
    await begin(sessionStore, 'id');
    const presented = { key: { owner: 'owner', id: 'id' }, ...TOKEN };
    const next = { secret: digest('1'), sealed: 'sealed', data: null };
    const askedAt = (await sessionStore.find(presented))?.at ?? NaN;
    await sessionStore.rotate({ presented, next, graceFor: HOUR, askedAt });
    const ahead = String(Date.now() + 10_000);
    await server.command('HSET', 'njh:session:{owner}:id', 'rotated', ahead);
    const raced = await sessionStore.rotate({ presented, next, graceFor: HOUR, askedAt });
    expect(raced).toMatchObject({ verdict: 'reused', misuse: 'recent' });
  });

  it('makes room although more names of expired sessions stand before the live ones', async () => {
    const { sessionStore } = carried(storage);
    for (const id of ['a', 'b']) await begin(sessionStore, id);
    for (let n = 0; n < 50; n++) await server.command('ZADD', INDEX, String(n), `over-${n}`);
    expect(await begin(sessionStore, 'c', 3)).toEqual([]);
    expect(await server.command('ZRANGE', INDEX, '0', '-1')).toEqual(['a', 'b', 'c']);
    expect(await begin(sessionStore, 'd', 3)).toEqual(['a']);
  });

  it('replaces the ring also for a user who may not publish', async () => {
    await server.command(
      ...(['ACL', 'SETUSER', 'app', 'on', '>pass', '~*', '+@all', 'resetchannels'] as const),
    );
    const url = server.url.replace('redis://', 'redis://app:pass@');
    const limited = redisStorage({ url, deadline: '2s' });
    try {
      const { keyStore } = carried(limited);
      expect(await keyStore.replace({ expectedVersion: null, ring: 'ring' })).toBe(true);
      expect((await keyStore.load()).stored).toMatchObject({ ring: 'ring' });
    } finally {
      await limited.close();
    }
  });

  it.each<[what: string, call: () => Promise<unknown>]>([
    [
      'a lifetime',
      () =>
        carried(storage).sessionStore.create({
          ...TOKEN,
          key: { owner: 'owner', id: 'id' },
          data: '',
          idleFor: HOUR,
          absoluteFor: TOO_LONG,
          atMost: 1,
        }),
    ],
    [
      'a window',
      () => carried(storage).attemptStore.record({ key: 'k', window: TOO_LONG, runsFrom: 'last' }),
    ],
    [
      'a grace window',
      () =>
        carried(storage).sessionStore.rotate({
          presented: { key: { owner: 'owner', id: 'id' }, ...TOKEN },
          next: { secret: digest('1'), sealed: 'sealed', data: null },
          graceFor: TOO_LONG,
          askedAt: null,
        }),
    ],
  ])('%s of more than 400 days is a mistake of the program', async (_what, call) => {
    await expect(call()).rejects.toThrow(TypeError);
  });
});

describeWithRedis('while a Cluster moves the slot of an owner', () => {
  it('all of its sessions end or none, also those that end for a new one', async () => {
    const cluster = await startCluster(0);
    const client = cluster.connect();
    const storage = redisStorage({ client, deadline: '2s' });
    try {
      const { sessionStore } = carried(storage);
      for (const id of ['a', 'b', 'c']) await begin(sessionStore, id);
      const slot = String(slotOf('{owner}'));
      const index = Math.floor((Number(slot) * 3) / 16_384);
      const source = cluster.masters[index];
      const target = cluster.masters[(index + 1) % 3];
      if (source === undefined || target === undefined) throw new TypeError('three masters');
      const sourceId = String(await source.command('CLUSTER', 'MYID'));
      const targetId = String(await target.command('CLUSTER', 'MYID'));
      await target.command('CLUSTER', 'SETSLOT', slot, 'IMPORTING', sourceId);
      await source.command('CLUSTER', 'SETSLOT', slot, 'MIGRATING', targetId);
      const port = String(target.port);
      // The last of them, so that the others would be ended before it is missed.
      await source.command('MIGRATE', '127.0.0.1', port, 'njh:session:{owner}:c', '0', '5000');
      const request = { owner: 'owner', except: null };
      for (const ending of [
        () => sessionStore.endAll(request),
        () => begin(sessionStore, 'd', 1),
      ]) {
        await expect(ending()).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' });
      }
      for (const id of ['a', 'b']) {
        expect(await source.command('EXISTS', `njh:session:{owner}:${id}`)).toBe(1);
      }
    } finally {
      await storage.close();
      client.disconnect();
      await cluster.stop();
    }
  });
});

describe('a client behind Sentinels', () => {
  it("goes to the primary, whatever the app's client reads from", () => {
    const app = new Redis({
      sentinels: [{ host: '127.0.0.1', port: 1 }],
      name: 'primary',
      role: 'slave',
      lazyConnect: true,
    });
    const ours = openClient({ client: app });
    expect(ours).toBeInstanceOf(Redis);
    expect(ours.options).toMatchObject({ role: 'master' });
    ours.disconnect();
    app.disconnect();
  });
});
