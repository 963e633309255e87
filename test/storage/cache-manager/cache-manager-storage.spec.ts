import { type Cache, createCache, KeyvAdapter } from 'cache-manager';
import { Keyv } from 'keyv';

import type { LoggedRevocation, RevocationLog } from '../../../lib/revocation/revocation-log.js';
import {
  cacheManagerStorage,
  type CacheManagerStorageOptions,
} from '../../../lib/storage/cache-manager/cache-manager-storage.js';
import { NotCarried, type Storage, type StorageStatus } from '../../../lib/storage/storage.js';
import { TestClock } from '../../support/test-clock.js';
import { cachesOver, RemoteBackend, type Trouble } from './shared-caches.js';

const MINUTE = 60_000;

let backend: RemoteBackend;
let opened: Storage[];

beforeEach(() => {
  backend = new RemoteBackend();
  opened = [];
});

afterEach(() => Promise.all(opened.map((storage) => storage.close())));

function open(options?: CacheManagerStorageOptions): Storage {
  const storage = backend.connect(options);
  opened.push(storage);
  return storage;
}

function logOf(storage: Storage): RevocationLog {
  if (storage.revocationLog instanceof NotCarried) throw new TypeError('there is no log');
  return storage.revocationLog;
}

const entry = (data: string) => ({ data, expiresAt: Date.now() + MINUTE });

async function textsOf(
  log: RevocationLog,
  after: string | null = null,
): Promise<string[] | 'lost'> {
  const page = await log.read({ after, limit: 1_000 });
  return page.verdict === 'lost' ? 'lost' : page.entries.map(({ data }) => data);
}

async function until(holds: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 10_000; !holds();) {
    if (Date.now() > deadline) throw new Error('waited in vain');
    await new Promise((resolve) => void setTimeout(resolve, 5));
  }
}

class Heard {
  readonly texts: string[] = [];
  current = 0;
  lost = 0;

  constructor(log: RevocationLog, after: string | null = null) {
    log.follow({
      after,
      onEntries: (entries: readonly LoggedRevocation[]) =>
        this.texts.push(...entries.map(({ data }) => data)),
      onCurrent: () => this.current++,
      onLost: () => this.lost++,
    });
  }
}

/** The keys in the backend that hold entries, or the witness. */
const keysWith = (part: string): string[] =>
  [...backend.texts.keys()].filter((key) => key.includes(part));

describe('cacheManagerStorage', () => {
  it('names itself as it is written, and says whether others share it', () => {
    expect(open()).toMatchObject({ name: 'cacheManagerStorage()', reach: 'shared' });
    expect(cacheManagerStorage(createCache()).reach).toBe('process');
  });

  it.each(['keyStore', 'sessionStore', 'replayStore', 'attemptStore'] as const)(
    'does not carry the %s, and says what the backend lacks',
    (port) => {
      const missing = open()[port];
      expect(missing).toBeInstanceOf(NotCarried);
      expect(missing).toHaveProperty(
        'reason',
        expect.stringMatching(/^its backend has no .*, so that /),
      );
    },
  );

  const map = (): Keyv => new Keyv({ store: new Map() });
  const adapter = {
    name: 'old',
    get: async () => undefined,
    mget: async () => [],
    set: async () => {},
    mset: async () => {},
    del: async () => {},
    mdel: async () => {},
    ttl: async () => 0,
    keys: async () => [],
  };

  it.each<[what: string, cache: () => Cache, reason: RegExp]>([
    ['two stores', () => createCache({ stores: [map(), map()] }), /2 stores/],
    ['no store', () => ({ ...createCache(), stores: [] }), /0 stores/],
    [
      'a backend that cannot list',
      () => createCache({ stores: [new Keyv(new KeyvAdapter(adapter))] }),
      /cannot list/,
    ],
    ['an empty namespace', () => backend.newCache({ namespace: '' }), /no namespace/],
    ['a namespace with a colon', () => backend.newCache({ namespace: 'a:b' }), /colon/],
  ])('does not carry the log in a cache with %s', (_what, cache, reason) => {
    const { revocationLog } = cacheManagerStorage(cache());
    expect(revocationLog).toBeInstanceOf(NotCarried);
    expect(revocationLog).toHaveProperty('reason', expect.stringMatching(reason));
  });

  it.each<[problem: string, options: object]>([
    ['deadline', { deadline: 1_000 }],
    ['deadline', { deadline: '0s' }],
    ['deadline', { deadline: '2m' }],
    ['maxEntries', { maxEntries: 0 }],
    ['maxEntries', { maxEntries: NaN }],
    ['dedline', { dedline: '1s' }],
  ])('refuses a wrong %s: %j', (problem, options) => {
    const call = (): Storage => backend.connect(options);
    expect(call).toThrow(TypeError);
    expect(call).toThrow(problem);
  });

  it.each<[what: string, cache: unknown]>([
    ['nothing', undefined],
    ['null', null],
    ['a Keyv', new Keyv()],
    ['a promise', Promise.resolve(createCache())],
    ['a text', 'redis://localhost'],
  ])('refuses %s for a cache', (_what, cache) => {
    expect(() => cacheManagerStorage(cache as Cache)).toThrow(/takes a cache/);
  });

  it('leaves the entries of others in the cache alone, and is not confused by them', async () => {
    const cache = backend.newCache();
    await cache.set('user:1', { data: 'x', expiresAt: 8e15 });
    await cache.set('revocation.1', '{"data":"forged","expiresAt":8000000000000000}');
    const log = logOf(cacheManagerStorage(cache));
    await log.append(entry('a'));
    expect(await textsOf(log)).toEqual(['a']);
    expect(await cache.get('user:1')).toEqual({ data: 'x', expiresAt: 8e15 });
  });
});

describe('the revocation log of a cache', () => {
  it.each<Trouble>(['hangs', 'throws', 'swallows errors', 'loses entries'])(
    'acknowledges nothing while its backend %s',
    async (trouble) => {
      const log = logOf(open({ deadline: '100ms' }));
      await log.append(entry('a'));
      backend.trouble = trouble;
      const rejection = await log.append(entry('b')).catch((error: unknown) => error);
      expect(rejection).toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' });
      expect(String(rejection)).not.toMatch(/pa55w0rd|redis:|ECONNREFUSED/);
      backend.trouble = 'none';
      await log.append(entry('c'));
      expect(await textsOf(log)).toEqual(['a', 'c']);
    },
  );

  it.each<Trouble>(['hangs', 'throws', 'swallows errors'])(
    'answers no read and takes nothing for lost while its backend %s, and goes on afterwards',
    async (trouble) => {
      const storage = open({ deadline: '100ms' });
      const log = logOf(storage);
      const { position } = await log.append(entry('a'));
      const heard = new Heard(log);
      await until(() => heard.current > 0);
      backend.trouble = trouble;
      for (const after of [null, position]) {
        await expect(log.read({ after, limit: 10 })).rejects.toMatchObject({
          code: 'ERR_STORE_UNAVAILABLE',
        });
      }
      const before = heard.current;
      await expect(log.read({ after: null, limit: 10 })).rejects.toThrow(/did not/);
      expect([heard.current, heard.lost]).toEqual([before, 0]);
      backend.trouble = 'none';
      await logOf(open()).append(entry('b'));
      await until(() => heard.texts.length === 2);
      expect(heard).toMatchObject({ texts: ['a', 'b'], lost: 0 });
      expect(await textsOf(log, position)).toEqual(['b']);
    },
  );

  it('says when the backend fails and when it is back, without what it said', async () => {
    const storage = open();
    const told: StorageStatus[] = [];
    storage.onStatus(() => {
      throw new Error('a listener failed');
    });
    const unsubscribe = storage.onStatus((status) => told.push(status));
    const log = logOf(storage);
    await log.append(entry('a'));
    backend.trouble = 'throws';
    await expect(log.append(entry('b'))).rejects.toThrow(/keep an entry/);
    await expect(textsOf(log)).rejects.toThrow(/list its entries/);
    expect(storage.status().state).toBe('down');
    backend.trouble = 'none';
    await log.append(entry('b'));
    expect(told.map(({ state }) => state)).toEqual(['down', 'up']);
    expect(JSON.stringify(told)).not.toMatch(/pa55w0rd|redis:/);
    unsubscribe();
    backend.trouble = 'throws';
    await expect(log.append(entry('c'))).rejects.toThrow(/keep an entry/);
    expect(told).toHaveLength(2);
  });

  it('does not say up and down in turn while errors are swallowed', async () => {
    const storage = open();
    const log = logOf(storage);
    await log.append(entry('a'));
    const told: StorageStatus[] = [];
    storage.onStatus((status) => told.push(status));
    backend.trouble = 'swallows errors';
    for (let read = 0; read < 3; read++) await expect(textsOf(log)).rejects.toThrow(/did not keep/);
    expect(told.map(({ state }) => state)).toEqual(['down']);
  });

  it.each([
    ['an entry', 'revocation'],
    ['the witness', 'witness'],
  ])(
    'says lost when the backend dropped %s, and can be read from the start',
    async (_what, part) => {
      const log = logOf(open());
      await log.append(entry('a'));
      const { position } = await log.append(entry('b'));
      const heard = new Heard(log);
      await until(() => heard.texts.length === 2);
      backend.texts.delete(keysWith(part)[0] ?? '');
      await until(() => heard.lost > 0);
      expect(await textsOf(log, position)).toBe('lost');
      expect(await textsOf(log)).toEqual(part === 'witness' ? ['a', 'b'] : ['b']);
    },
  );

  it('takes nothing for lost that a listing skipped, as listings do while others write', async () => {
    const cache = backend.newCache();
    const log = logOf(cacheManagerStorage(cache));
    const { position } = await log.append(entry('a'));
    const [store] = cache.stores;
    // Nothing is listed, although all is there.
    if (store !== undefined) store.iterator = async function* () {};
    expect(await textsOf(log, position)).toEqual([]);
    expect(await textsOf(log)).toEqual(['a']);
  });

  it('does not begin in a backend that does not list what it keeps', async () => {
    const cache = backend.newCache();
    const [store] = cache.stores;
    if (store !== undefined) store.iterator = async function* () {};
    const log = logOf(cacheManagerStorage(cache));
    await expect(log.append(entry('a'))).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' });
    await expect(textsOf(log)).rejects.toThrow('does not list');
  });

  it.each(['', 'x', '[]', '{}', '{"data":1,"expiresAt":1}', '{"data":"a","expiresAt":"1"}'])(
    'passes over no revocation that it cannot read: %s',
    async (text) => {
      const cache = backend.newCache();
      const log = logOf(cacheManagerStorage(cache));
      await log.append(entry('a'));
      const key = keysWith('revocation')[0]?.replace('keyv:', '') ?? '';
      await cache.set(`${key}0`, text);
      await expect(textsOf(log)).rejects.toMatchObject({ code: 'ERR_STORE_CORRUPT' });
    },
  );

  it('leaves entries in the backend longer than their writer thinks, whose clock may be ahead', async () => {
    const cache = createCache({ stores: [new Keyv({ store: new Map() })] });
    const ahead = new TestClock(Date.now() + 90_000);
    const behind = new TestClock(Date.now() - 90_000);
    const writer = logOf(cacheManagerStorage(cache, { clock: ahead }));
    const reader = logOf(cacheManagerStorage(cache, { clock: behind }));
    // By the writer's clock this has a millisecond to live, by the reader's three minutes.
    const { position } = await writer.append({ data: 'a', expiresAt: ahead.now() + 1 });
    expect(await textsOf(reader)).toEqual(['a']);
    ahead.advance(1);
    expect(await textsOf(writer)).toEqual([]);
    expect(await textsOf(writer, position)).toEqual([]);
    behind.advance(180_001);
    expect(await textsOf(reader)).toEqual([]);
  });

  it('denies what comes when it is full, until something expired', async () => {
    const clock = new TestClock(Date.now());
    const log = logOf(open({ maxEntries: 2, clock }));
    const at = (ms: number) => clock.now() + ms;
    await log.append({ data: 'a', expiresAt: at(1_000) });
    await log.append({ data: 'b', expiresAt: at(MINUTE) });
    const full = log.append({ data: 'c', expiresAt: at(MINUTE) });
    await expect(full).rejects.toMatchObject({ code: 'ERR_STORE_FULL' });
    clock.advance(1_000);
    await log.append({ data: 'd', expiresAt: at(MINUTE) });
    expect(await textsOf(log)).toEqual(['b', 'd']);
  });

  it('shares one witness between instances that begin one after the other', async () => {
    for (let instance = 0; instance < 5; instance++) await textsOf(logOf(open()));
    expect(keysWith('witness')).toHaveLength(1);
  });

  it('holds whatever the cache forgets by default', async () => {
    const store = new Map<string, unknown>();
    const short = createCache({ ttl: 1, stores: [new Keyv({ store, ttl: 1 })] });
    const log = logOf(cacheManagerStorage(short));
    const { position } = await log.append(entry('a'));
    const later = Date.now() + 20;
    await until(() => Date.now() > later);
    expect(await textsOf(log)).toEqual(['a']);
    expect(await textsOf(log, position)).toEqual([]);
    expect(await textsOf(logOf(cacheManagerStorage(cachesOver(store)())))).toEqual(['a']);
  });

  it('holds no timer once its last follower ended, nor once it was closed', async () => {
    const timers = (): number =>
      process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
    const before = timers();
    const storage = open();
    const log = logOf(storage);
    const listeners = { after: null, onEntries: () => {}, onCurrent: () => {}, onLost: () => {} };
    const stop = log.follow(listeners);
    await log.append(entry('a'));
    stop();
    log.follow(listeners);
    await log.append(entry('b'));
    await storage.close();
    log.follow(listeners);
    expect(timers()).toBe(before);
  });
});
