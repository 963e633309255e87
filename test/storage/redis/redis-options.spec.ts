import { Cluster, Redis } from 'ioredis';

import { ConfigError } from '../../../lib/kernel/errors.js';
import { openClient } from '../../../lib/storage/redis/redis-clients.js';
import { resolveRedisOptions } from '../../../lib/storage/redis/redis-options.js';
import { redisStorage } from '../../../lib/storage/redis/redis-storage.js';

const url = 'redis://127.0.0.1:1';

function problemsOf(options: unknown): readonly string[] {
  try {
    resolveRedisOptions(options);
  } catch (error) {
    if (!(error instanceof ConfigError) || error.code !== 'ERR_CONFIG_INVALID') throw error;
    return error.problems.map(({ path }) => path);
  }
  return [];
}

describe('the options of redisStorage()', () => {
  it('are complete with an address alone', () => {
    const { prefix, limits, durableLimits } = resolveRedisOptions({ url });
    expect(prefix).toBe('njh:');
    expect(limits).toEqual({
      deadline: 100,
      connectTimeout: 5_000,
      maxPending: 1_000,
      replication: null,
    });
    expect(durableLimits).toBe(limits);
  });

  it('give changes the time of the replicas on top', () => {
    const options = { url, deadline: '200ms', replicas: 2, waitFor: '30ms' };
    const { limits, durableLimits } = resolveRedisOptions(options);
    expect(limits).toMatchObject({ deadline: 200, replication: null });
    expect(durableLimits).toMatchObject({
      deadline: 230,
      replication: { replicas: 2, waitFor: 30 },
    });
  });

  it.each([
    'redis://host',
    'redis://host/',
    'redis://host:6380/3',
    'redis://user:pass@host',
    'rediss://host',
    'redis://[::1]:6379',
  ])('accept the address %s', (address) => {
    expect(problemsOf({ url: address })).toEqual([]);
  });

  it.each([
    undefined,
    null,
    '',
    6379,
    'localhost:6379',
    'http://host',
    'redis:///path',
    'redis://host/name',
    'redis://host?keyPrefix=x',
    'redis://host#fragment',
    ' redis://host',
    { href: 'redis://host' },
  ])('refuse the address %p', (address) => {
    expect(problemsOf({ url: address })).toEqual(['storage.url']);
  });

  it.each([null, {}, 'redis', 1, { duplicate: () => {} }, { isCluster: false, options: {} }])(
    'refuse the client %p',
    (client) => {
      expect(problemsOf({ client })).toEqual(['storage.client']);
    },
  );

  it.each([null, 1, 'a{b', 'a}b', '{tag}', 'a b', 'a\n', 'é', 'a*', 'x'.repeat(65)])(
    'refuse the prefix %p',
    (keyPrefix) => {
      expect(problemsOf({ url, keyPrefix })).toEqual(['storage.keyPrefix']);
    },
  );

  it('report all that is wrong at once, and no value', () => {
    const options = {
      url: 'http://user:s3cret@host',
      keyPrefix: '{s3cret}',
      deadline: 100,
      connectTimeout: '1ms',
      maxPending: 0,
      replicas: 1.5,
      waitFor: '1h',
      retries: 3,
    };
    expect(problemsOf(options)).toEqual([
      'storage.retries',
      'storage.url',
      'storage.keyPrefix',
      'storage.deadline',
      'storage.connectTimeout',
      'storage.maxPending',
      'storage.replicas',
      'storage.waitFor',
    ]);
    expect(() => resolveRedisOptions(options)).toThrow(/Known are url, client/);
    expect(() => resolveRedisOptions(options)).not.toThrow(/s3cret/);
  });

  it('refuse an address beside a client', () => {
    const client = new Redis({ lazyConnect: true });
    expect(problemsOf({ url, client })).toEqual(['storage.url']);
  });

  it.each([undefined, null, 'redis://host', 1, []])('refuse %p in their place', (options) => {
    expect(problemsOf(options)).toEqual(['storage.url']);
  });
});

describe('the client of the app', () => {
  it('is neither connected, used, listened to nor closed', async () => {
    const client = new Redis({ lazyConnect: true });
    const storage = redisStorage({ client });
    await storage.close();
    expect(client.status).toBe('wait');
    expect(client.eventNames()).toEqual([]);
  });

  it('passes its prefix on in front of ours, unless that has braces', () => {
    const client = new Redis({ lazyConnect: true, keyPrefix: 'app:' });
    expect(resolveRedisOptions({ client }).prefix).toBe('app:njh:');
    const braces = new Redis({ lazyConnect: true, keyPrefix: '{app}' });
    expect(problemsOf({ client: braces })).toEqual(['storage.client']);
    const cluster = new Cluster([], { lazyConnect: true, redisOptions: { keyPrefix: 'app:' } });
    expect(resolveRedisOptions({ client: cluster }).prefix).toBe('app:njh:');
  });

  it('passes on where it goes and who it is, and none of its habits', () => {
    const client = new Redis({
      lazyConnect: true,
      host: 'somewhere',
      password: 'p',
      db: 3,
      keyPrefix: 'app:',
      enableOfflineQueue: true,
      stringNumbers: true,
      maxRetriesPerRequest: null,
      readOnly: true,
    });
    const { options, status } = openClient({ client });
    expect(status).toBe('wait');
    expect(options).toMatchObject({
      host: 'somewhere',
      password: 'p',
      db: 3,
      keyPrefix: '',
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      stringNumbers: false,
      maxRetriesPerRequest: 0,
      readOnly: false,
    });
  });

  it('passes on the settings of the nodes of a Cluster', () => {
    const client = new Cluster([{ host: 'somewhere' }], {
      lazyConnect: true,
      scaleReads: 'slave',
      redisOptions: { password: 'p', stringNumbers: true },
    });
    const opened = openClient({ client });
    expect(opened).toBeInstanceOf(Cluster);
    expect(opened.options).toMatchObject({
      scaleReads: 'master',
      retryDelayOnFailover: 0,
      redisOptions: { password: 'p', stringNumbers: false, autoResendUnfulfilledCommands: false },
    });
  });
});
