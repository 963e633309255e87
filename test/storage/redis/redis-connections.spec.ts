import { inspect } from 'node:util';

import { redisStorage } from '../../../lib/storage/redis/redis-storage.js';
import type { Storage } from '../../../lib/storage/storage.js';
import { type CuttingProxy, startCuttingProxy } from '../../support/cutting-proxy.js';
import { freePort } from '../../support/processes.js';
import {
  describeWithRedis,
  eventually,
  type RedisServer,
  startRedis,
} from '../../support/redis-server.js';
import { carried, digest, Listener } from './steady-load.js';

const HOUR = 3_600_000;
const FAILED = { name: 'StoreError', code: 'ERR_STORE_UNAVAILABLE' };

describeWithRedis('when a reply is lost after its script ran', () => {
  let server: RedisServer;
  let proxy: CuttingProxy;
  let storage: Storage;

  beforeAll(async () => {
    server = await startRedis();
    proxy = await startCuttingProxy(server.port);
  });

  afterAll(async () => {
    await proxy.stop();
    await server.stop();
  });

  beforeEach(() => {
    storage = redisStorage({ url: `redis://127.0.0.1:${proxy.port}`, deadline: '2s' });
  });

  afterEach(() => storage.close());

  /** Loses the reply to the next call. */
  async function cut(call: () => Promise<unknown>): Promise<void> {
    const { lost } = proxy;
    proxy.set('cut');
    await expect(call()).rejects.toMatchObject(FAILED);
    expect(proxy.lost).toBe(lost + 1);
  }

  it('a claim that is repeated is not granted a second time', async () => {
    const { replayStore } = carried(storage);
    const claim = (key: string): Promise<boolean> =>
      replayStore.claimOnce({ key, expiresAt: Date.now() + HOUR });
    expect(await claim('before')).toBe(true);
    await cut(() => claim('cut'));
    expect(await claim('cut')).toBe(false);
  });

  it('a rotation that is repeated is answered with the successor that stands', async () => {
    const { sessionStore } = carried(storage);
    const key = { owner: 'cut', id: 'session' };
    const lineage = digest('lineage');
    const tokens = { lineage, secret: digest('0'), binding: null };
    const times = { idleFor: HOUR, absoluteFor: HOUR, atMost: 9 };
    await sessionStore.create({ key, ...tokens, ...times, data: '' });
    const rotate = (secret: string, next: string): ReturnType<typeof sessionStore.rotate> =>
      sessionStore.rotate({
        presented: { key, lineage, secret: digest(secret), binding: null },
        next: { secret: digest(next), sealed: next, data: null },
        graceFor: 10_000,
        askedAt: null,
      });
    expect(await rotate('0', '1')).toMatchObject({ verdict: 'rotated' });
    await cut(() => rotate('1', '2'));
    expect(await rotate('1', 'other')).toMatchObject({ verdict: 'repeated', sealed: '2' });
    expect(await rotate('2', '3')).toMatchObject({
      verdict: 'rotated',
      session: { generation: 3 },
    });
  });

  it('a ring that is offered again is refused, and the first stands', async () => {
    const { keyStore } = carried(storage);
    await keyStore.load();
    await keyStore.replace({ expectedVersion: 1, ring: 'to know the script' });
    await cut(() => keyStore.replace({ expectedVersion: null, ring: 'first' }));
    expect(await keyStore.replace({ expectedVersion: null, ring: 'second' })).toBe(false);
    expect((await keyStore.load()).stored).toMatchObject({ ring: 'first' });
  });

  it('an entry appended again stands twice, and a follower hears each once', async () => {
    const { revocationLog } = carried(storage);
    const entry = { data: 'same', expiresAt: Date.now() + HOUR };
    await revocationLog.append({ ...entry, data: 'before' });
    await cut(() => revocationLog.append(entry));
    await revocationLog.append(entry);
    const listener = new Listener(storage);
    await eventually('the follower heard all', () => listener.heard.length === 3);
    expect(listener.heard).toEqual(['before', 'same', 'same']);
  });

  it('an unknown script is sent by its text, once', async () => {
    const { attemptStore } = carried(storage);
    await attemptStore.record({ key: 'flushed', window: HOUR, runsFrom: 'first' });
    await server.command('SCRIPT', 'FLUSH');
    expect(
      await attemptStore.record({ key: 'flushed', window: HOUR, runsFrom: 'first' }),
    ).toMatchObject({ count: 2 });
  });

  it('one lost connection is no outage', async () => {
    const states: string[] = [];
    storage.onStatus(({ state }) => states.push(state));
    const { keyStore } = carried(storage);
    await keyStore.load();
    await server.command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    await eventually('it answers', () =>
      keyStore.load().then(
        () => true,
        () => false,
      ),
    );
    expect(states).toEqual([]);
  });

  it('a connection that falls silent without closing is replaced', async () => {
    const states: string[] = [];
    const listener = new Listener(storage);
    storage.onStatus(({ state }) => states.push(state));
    const { keyStore, revocationLog } = carried(storage);
    await keyStore.load();
    await eventually('the follower is at the end', () => listener.currentAt > 0);
    proxy.set('swallow');
    // Nobody calls: the storage finds out by itself.
    await eventually('the outage is known', () => states.includes('down'));
    await eventually('it answers again', () => states.includes('up'));
    const { length } = listener.heard;
    await revocationLog.append({ data: 'after', expiresAt: Date.now() + HOUR });
    await eventually('the follower hears', () => listener.heard.length > length);
    expect(listener.lost).toBe(0);
    expect(states.slice(0, 2)).toEqual(['down', 'up']);
  });
});

describe('when nothing listens at the address', () => {
  it('the first call waits for the connection, later ones fail at once; the state says why', async () => {
    const port = await freePort();
    const storage = redisStorage({ url: `redis://127.0.0.1:${port}`, connectTimeout: '300ms' });
    const { keyStore } = carried(storage);
    const startedAt = Date.now();
    await expect(keyStore.load()).rejects.toMatchObject(FAILED);
    expect(Date.now() - startedAt).toBeGreaterThan(290);
    await eventually('the outage is known', () => storage.status().state === 'down');
    const took: number[] = [];
    for (let count = 0; count < 1_000; count++) {
      const calledAt = performance.now();
      await expect(keyStore.load()).rejects.toMatchObject(FAILED);
      took.push(performance.now() - calledAt);
    }
    // Half of them, because the machine may be busy: none of them waits for a connection.
    expect(took.toSorted((a, b) => a - b)[500]).toBeLessThan(100);
    expect(storage.status().detail).toBe('not connected');
    await storage.close();
  });

  it('close() ends the waiting', async () => {
    const storage = redisStorage({ url: `redis://127.0.0.1:${await freePort()}` });
    const { keyStore, revocationLog } = carried(storage);
    const [outcome] = await Promise.allSettled([keyStore.load(), storage.close()]);
    expect(outcome).toMatchObject({ reason: { code: 'ERR_STORE_CLOSED' } });
    expect(() => keyStore.onChange(() => {})).toThrow('closed');
    const follower = { after: null, onEntries: () => {}, onCurrent: () => {}, onLost: () => {} };
    expect(() => revocationLog.follow(follower)).toThrow('closed');
  });
});

describeWithRedis('what a server of others answers', () => {
  let server: RedisServer;

  beforeEach(async () => {
    server = await startRedis();
  });

  afterEach(() => server.stop());

  it('a wrong password is an outage, and appears in no text', async () => {
    await server.command('CONFIG', 'SET', 'requirepass', 'right');
    const url = `redis://:s3cret-password@127.0.0.1:${server.port}`;
    const storage = redisStorage({ url, connectTimeout: '300ms' });
    const failure: unknown = await carried(storage)
      .keyStore.load()
      .catch((error: unknown) => error);
    expect(failure).toMatchObject(FAILED);
    await eventually('the outage is known', () => storage.status().state === 'down');
    for (const thing of [failure, storage, storage.status()]) {
      const text = inspect(thing, { depth: 20, showHidden: true });
      expect(text).not.toContain('s3cret');
      expect(text).not.toContain(String(server.port));
    }
    await storage.close();
  });

  const DISTURBANCES: readonly (readonly [
    name: string,
    commands: readonly (readonly [string, ...string[]])[],
    call: (storage: Storage) => Promise<unknown>,
  ])[] = [
    [
      'a ring under a key of another type',
      [['SET', 'njh:{keyring}', 'x']],
      (storage) => carried(storage).keyStore.load(),
    ],
    [
      'a version that is no number',
      [['HSET', 'njh:{keyring}', 'version', '1e3', 'ring', 'r']],
      (storage) => carried(storage).keyStore.load(),
    ],
    [
      'a ring without a version',
      [['HSET', 'njh:{keyring}', 'ring', 'r']],
      (storage) => carried(storage).keyStore.load(),
    ],
    [
      'an entry with other fields',
      [
        ['XADD', 'njh:{log}:entries', '1-1', 'e', '1:2:text', 'more', '3'],
        ['HSET', 'njh:{log}:state', 'id', 'a'.repeat(32), 'number', '1'],
      ],
      (storage) => carried(storage).revocationLog.read({ after: null, limit: 1 }),
    ],
    [
      'an entry of another form',
      [
        ['XADD', 'njh:{log}:entries', '1-1', 'e', '1:x:text'],
        ['HSET', 'njh:{log}:state', 'id', 'a'.repeat(32), 'number', '1'],
      ],
      (storage) => carried(storage).revocationLog.read({ after: null, limit: 1 }),
    ],
    [
      'a log with an id that makes no position',
      [
        ['XADD', 'njh:{log}:entries', '1-1', 'e', '1:2:text'],
        ['HSET', 'njh:{log}:state', 'id', 'a:b', 'number', '1'],
      ],
      (storage) => carried(storage).revocationLog.read({ after: null, limit: 1 }),
    ],
    [
      'a session without its members',
      [
        ['ZADD', 'njh:sessions:{owner}', '1', 'id'],
        ['HSET', 'njh:session:{owner}:id', 'data', 'd', 'created', '-1'],
      ],
      (storage) => carried(storage).sessionStore.list('owner'),
    ],
  ];

  it.each(DISTURBANCES)('%s is corrupt, not believed', async (_name, commands, call) => {
    for (const command of commands) await server.command(...command);
    const storage = redisStorage({ url: server.url });
    await expect(call(storage)).rejects.toMatchObject({
      name: 'StoreError',
      code: 'ERR_STORE_CORRUPT',
    });
    expect(storage.status().state).toBe('up');
    await storage.close();
  });
});
