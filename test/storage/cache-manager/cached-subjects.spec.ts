import { type Cache, createCache } from 'cache-manager';
import { Keyv } from 'keyv';

import type { SubjectDirectory } from '../../../lib/revocation/subject-directory.js';
import {
  cachedSubjects,
  type CachedSubjectsOptions,
} from '../../../lib/storage/cache-manager/cache-manager-storage.js';
import { TestClock } from '../../support/test-clock.js';
import { CountedUsers } from './counted-users.js';
import { RemoteBackend } from './shared-caches.js';

const ISSUER = 'https://issuer.example';
const ALICE = { issuer: ISSUER, subject: 'alice' };
const FINE = { disabled: false, version: 1 };
const DISABLED = { disabled: true, version: 1 };
const SECOND = 1_000;
const UNAVAILABLE = { code: 'ERR_SUBJECT_UNAVAILABLE' };

let users: CountedUsers;
let clock: TestClock;

beforeEach(() => {
  users = new CountedUsers();
  users.set('alice', FINE);
  clock = new TestClock();
});

afterEach(() => void jest.useRealTimers());

/** The clock stands, so that only a test makes an answer old; `refreshAhead` is off unless asked for. */
function cached(options: Partial<CachedSubjectsOptions> = {}): SubjectDirectory {
  return cachedSubjects(users, { ttl: '1h', refreshAhead: '0s', clock, ...options });
}

/** Not `Date`, by which Keyv counts. */
function fakeTimers(): void {
  jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask', 'Date'] });
}

async function until(holds: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 10_000; !holds();) {
    if (Date.now() > deadline) throw new Error('waited in vain');
    await new Promise((resolve) => void setTimeout(resolve, 2));
  }
}

async function refresh(directory: SubjectDirectory, subject = 'alice'): Promise<unknown> {
  return directory.refresh?.({ issuer: ISSUER, subject });
}

describe('cachedSubjects', () => {
  it('asks once for what it knows, and tells subjects and issuers apart', async () => {
    const directory = cached();
    users.set('bob', DISABLED);
    for (let times = 0; times < 3; times++) {
      expect(await directory.find(ALICE)).toEqual(FINE);
      expect(await directory.find({ issuer: ISSUER, subject: 'bob' })).toEqual(DISABLED);
    }
    expect(users.reads).toBe(2);
    await directory.find({ issuer: 'https://other.example', subject: 'alice' });
    expect(users.reads).toBe(3);
  });

  it('asks once for all who ask at the same time', async () => {
    const directory = cached();
    users.holds = true;
    const asked = Array.from({ length: 50 }, () => directory.find(ALICE));
    await until(() => users.held.length > 0);
    users.release();
    expect(new Set((await Promise.all(asked)).map((it) => JSON.stringify(it))).size).toBe(1);
    expect(users.reads).toBe(1);
  });

  it('uses no answer a millisecond longer than ttl', async () => {
    const directory = cached({ ttl: '30s' });
    await directory.find(ALICE);
    users.set('alice', DISABLED);
    clock.advance(30 * SECOND - 1);
    expect(await directory.find(ALICE)).toEqual(FINE);
    clock.advance(1);
    expect(await directory.find(ALICE)).toEqual(DISABLED);
  });

  it('counts ttl from before the read: what was read slowly is old when it comes', async () => {
    const directory = cached({ ttl: '30s' });
    users.holds = true;
    const asked = directory.find(ALICE);
    await until(() => users.held.length > 0);
    users.set('alice', DISABLED);
    clock.advance(29 * SECOND);
    users.release();
    expect(await asked).toEqual(FINE);
    users.holds = false;
    clock.advance(SECOND);
    expect(await directory.find(ALICE)).toEqual(DISABLED);
  });

  it('refuses what is older than ttl when it comes', async () => {
    const directory = cached({ ttl: '30s' });
    users.holds = true;
    const asked = directory.find(ALICE);
    await until(() => users.held.length > 0);
    clock.advance(30 * SECOND);
    users.holds = false;
    users.trouble = 'rejects';
    users.release();
    await expect(asked).rejects.toMatchObject(UNAVAILABLE);
  });

  it('keeps an unknown subject for a second only: it may be on its way', async () => {
    const directory = cached();
    const carol = { issuer: ISSUER, subject: 'carol' };
    expect(await directory.find(carol)).toBeNull();
    expect(await directory.find(carol)).toBeNull();
    expect(users.reads).toBe(1);
    users.set('carol', FINE);
    clock.advance(SECOND);
    expect(await directory.find(carol)).toEqual(FINE);
    expect(users.reads).toBe(2);
  });

  it('answers that a subject is unknown also when each read takes longer than a second', async () => {
    const directory = cached();
    users.holds = true;
    const asked = directory.find({ issuer: ISSUER, subject: 'carol' });
    for (let reads = 1; reads <= 2; reads++) {
      await until(() => users.reads === reads && users.held.length > 0);
      clock.advance(2 * SECOND);
      users.release();
    }
    expect(await asked).toBeNull();
  });

  it('holds no more answers than maxEntries, and asks again for those that gave way', async () => {
    const directory = cached({ maxEntries: 2 });
    for (const subject of ['alice', 'bob', 'carol', 'alice']) {
      await directory.find({ issuer: ISSUER, subject });
    }
    expect(users.reads).toBe(4);
    await directory.find(ALICE);
    expect(users.reads).toBe(4);
  });
});

describe('a directory that fails', () => {
  it.each(['rejects', 'rejects with nothing', 'answers nonsense'] as const)(
    'and %s has no answer for anybody who asked, and is asked again by the next',
    async (trouble) => {
      const directory = cached();
      users.trouble = trouble;
      const asked = Array.from({ length: 5 }, () => directory.find(ALICE));
      for (const { status } of await Promise.allSettled(asked)) expect(status).toBe('rejected');
      expect(users.reads).toBe(1);
      await expect(directory.find(ALICE)).rejects.toMatchObject(UNAVAILABLE);
      users.trouble = 'none';
      expect(await directory.find(ALICE)).toEqual(FINE);
    },
  );

  it('and hangs has none, and does not take the next one with it', async () => {
    const directory = cached();
    users.trouble = 'hangs';
    fakeTimers();
    const outcome = directory.find(ALICE).catch((error: unknown) => error);
    await jest.advanceTimersByTimeAsync(10 * SECOND);
    jest.useRealTimers();
    expect(await outcome).toMatchObject(UNAVAILABLE);
    users.trouble = 'none';
    expect(await directory.find(ALICE)).toEqual(FINE);
  });

  it('does not matter while an answer lasts, and does from then on', async () => {
    const directory = cached({ ttl: '30s' });
    await directory.find(ALICE);
    users.trouble = 'rejects';
    clock.advance(29 * SECOND);
    expect(await directory.find(ALICE)).toEqual(FINE);
    clock.advance(SECOND);
    await expect(directory.find(ALICE)).rejects.toMatchObject(UNAVAILABLE);
  });
});

describe('refreshing ahead', () => {
  // Keyv counts lives by the host's clock: with an hour to live, all but the first moment is "ahead".
  const ahead = { ttl: '1h', refreshAhead: '3599999ms' } as const;

  it('reads anew in the background, so that nobody waits', async () => {
    const directory = cached(ahead);
    await directory.find(ALICE);
    users.set('alice', DISABLED);
    users.holds = true;
    await until(() => {
      void directory.find(ALICE);
      return users.held.length > 0;
    });
    expect(await directory.find(ALICE)).toEqual(FINE);
    expect(users.reads).toBe(2);
    users.holds = false;
    users.release();
    let isRefused = false;
    await until(() => {
      void directory.find(ALICE).then((found) => (isRefused ||= found?.disabled === true));
      return isRefused;
    });
  });

  it('extends nothing when it fails: at ttl there is no answer, under constant load', async () => {
    const directory = cached(ahead);
    await directory.find(ALICE);
    users.trouble = 'rejects';
    const asked: Promise<unknown>[] = [];
    await until(() => {
      asked.push(directory.find(ALICE));
      return users.reads > 3;
    });
    for (const answer of await Promise.all(asked)) expect(answer).toEqual(FINE);
    clock.advance(3_600 * SECOND);
    await expect(directory.find(ALICE)).rejects.toMatchObject(UNAVAILABLE);
  });
});

describe('refresh', () => {
  it('reads past what is kept, and replaces it', async () => {
    const directory = cached();
    await directory.find(ALICE);
    users.set('alice', DISABLED);
    expect(await refresh(directory)).toEqual(DISABLED);
    expect(await directory.find(ALICE)).toEqual(DISABLED);
    expect(users.reads).toBe(2);
  });

  it('reads past the caches of the directory too', async () => {
    const past = jest.fn(async () => DISABLED);
    users.refresh = past;
    expect(await refresh(cached())).toEqual(DISABLED);
    expect(past).toHaveBeenCalledWith(ALICE);
    expect(users.reads).toBe(0);
  });

  it('does not join a read that began before it, nor is undone by it', async () => {
    const directory = cached();
    users.holds = true;
    const before = directory.find(ALICE);
    await until(() => users.held.length === 1);
    users.set('alice', DISABLED);
    const refreshed = refresh(directory);
    await until(() => users.held.length === 2);
    users.held.pop()?.();
    expect(await refreshed).toEqual(DISABLED);
    users.release();
    expect(await before).toEqual(DISABLED);
    expect(await directory.find(ALICE)).toEqual(DISABLED);
    expect(users.reads).toBe(2);
  });

  it('fails as the directory does, and leaves what is kept', async () => {
    const directory = cached();
    await directory.find(ALICE);
    users.trouble = 'rejects';
    await expect(refresh(directory)).rejects.toMatchObject(UNAVAILABLE);
    expect(await directory.find(ALICE)).toEqual(FINE);
  });
});

describe('a cache that others share', () => {
  let backend: RemoteBackend;

  beforeEach(() => {
    backend = new RemoteBackend();
  });

  const onBackend = (options: Partial<CachedSubjectsOptions> = {}): SubjectDirectory =>
    cached({ cache: backend.newCache(), ...options });

  /** The one entry of the backend, changed as if by somebody else. */
  function tamper(change: (entry: Record<string, unknown>) => unknown): void {
    for (const [key, text] of backend.texts) {
      const stored: { value: string } = JSON.parse(text);
      const value = change(JSON.parse(stored.value));
      backend.texts.set(key, JSON.stringify({ ...stored, value }));
    }
  }

  it('is read by all instances', async () => {
    await onBackend().find(ALICE);
    expect(await onBackend().find(ALICE)).toEqual(FINE);
    expect(users.reads).toBe(1);
  });

  it('learns neither who uses the service nor what else is in the row', async () => {
    users.set('alice', { ...FINE, email: 'a@b.example' } as typeof FINE);
    await onBackend().find(ALICE);
    const everything = JSON.stringify([...backend.texts]);
    expect(backend.texts.size).toBe(1);
    expect(everything).toContain('nest-jwt-hardening.subject.');
    expect(everything).not.toMatch(/alice|issuer\.example|email|a@b/);
  });

  it.each<[what: string, change: (entry: Record<string, unknown>) => unknown]>([
    ['a text that is no JSON', () => 'disabled'],
    ['an object instead of a text', (entry) => entry],
    ['a number', () => 1],
    ['null', () => null],
    ['an empty text', () => ''],
    ['a list', (entry) => JSON.stringify([entry])],
    ['no standing', ({ key, at }) => JSON.stringify({ key, at })],
    ['a standing without disabled', (entry) => JSON.stringify({ ...entry, standing: {} })],
    [
      'a member said twice',
      (entry) => JSON.stringify(entry).replace('"standing":', '"standing":null,"standing":'),
    ],
    ['far more than an answer', (entry) => JSON.stringify({ ...entry, more: 'x'.repeat(1_024) })],
    ["another's entry", (entry) => JSON.stringify({ ...entry, key: `${String(entry['key'])}x` })],
    ['an entry of nobody', ({ at, standing }) => JSON.stringify({ at, standing })],
    ['no instant', ({ key, standing }) => JSON.stringify({ key, standing })],
    ['an instant that is text', (entry) => JSON.stringify({ ...entry, at: String(entry['at']) })],
    ['an instant to come', (entry) => JSON.stringify({ ...entry, at: Number(entry['at']) + 1 })],
    ['an endless instant', (entry) => JSON.stringify(entry).replace(/"at":\d+/, '"at":1e999')],
    ['an instant long past', (entry) => JSON.stringify({ ...entry, at: 0 })],
  ])('does not pass off %s as an answer, and is set right', async (_what, change) => {
    const directory = onBackend();
    await directory.find(ALICE);
    tamper((entry) => change({ ...entry, standing: { disabled: false, version: 99 } }));
    users.set('alice', DISABLED);
    expect(await directory.find(ALICE)).toEqual(DISABLED);
    expect(users.reads).toBe(2);
    expect(await directory.find(ALICE)).toEqual(DISABLED);
    expect(users.reads).toBe(2);
  });

  it('cannot make an answer live longer by losing its expiry', async () => {
    const directory = onBackend({ ttl: '30s' });
    await directory.find(ALICE);
    for (const [key, text] of backend.texts) {
      const { value }: { value: string } = JSON.parse(text);
      backend.texts.set(key, JSON.stringify({ value }));
    }
    users.trouble = 'rejects';
    clock.advance(29 * SECOND);
    expect(await directory.find(ALICE)).toEqual(FINE);
    clock.advance(SECOND);
    await expect(directory.find(ALICE)).rejects.toMatchObject(UNAVAILABLE);
  });

  it('cannot make an answer live longer in front of another store', async () => {
    const near = new RemoteBackend();
    const cache = createCache({
      stores: [...near.newCache().stores, ...backend.newCache().stores],
    });
    const directory = cached({ cache, ttl: '30s' });
    await directory.find(ALICE);
    clock.advance(29 * SECOND);
    near.texts.clear();
    // `wrap` puts it into the near store again, with a full life.
    expect(await directory.find(ALICE)).toEqual(FINE);
    expect(near.texts.size).toBe(1);
    users.set('alice', DISABLED);
    clock.advance(SECOND);
    expect(await directory.find(ALICE)).toEqual(DISABLED);
  });

  it.each(['throws', 'swallows errors', 'loses entries'] as const)(
    'is done without when it %s: the directory is asked each time',
    async (trouble) => {
      const directory = onBackend();
      backend.trouble = trouble;
      expect(await directory.find(ALICE)).toEqual(FINE);
      users.set('alice', DISABLED);
      expect(await directory.find(ALICE)).toEqual(DISABLED);
      users.trouble = 'rejects';
      await expect(directory.find(ALICE)).rejects.toMatchObject(UNAVAILABLE);
    },
  );

  it('is done without when it throws where others would swallow it', async () => {
    const cache = backend.newCache();
    for (const store of cache.stores) store.throwOnErrors = true;
    backend.trouble = 'throws';
    expect(await cached({ cache }).find(ALICE)).toEqual(FINE);
  });

  it('is left alone for a while when it hangs, and asked again then', async () => {
    const cache = backend.newCache();
    const wrap = jest.spyOn(cache, 'wrap');
    const directory = cached({ cache });
    backend.trouble = 'hangs';
    fakeTimers();
    const first = directory.find(ALICE);
    await jest.advanceTimersByTimeAsync(SECOND);
    expect(await first).toEqual(FINE);
    jest.useRealTimers();
    for (let times = 0; times < 20; times++) expect(await directory.find(ALICE)).toEqual(FINE);
    expect(wrap).toHaveBeenCalledTimes(1);
    clock.advance(5 * SECOND);
    backend.trouble = 'none';
    await directory.find({ issuer: ISSUER, subject: 'bob' });
    expect(wrap).toHaveBeenCalledTimes(2);
    expect(backend.texts.size).toBe(1);
  });

  it('does not lose an answer that comes slowly, and is not blamed for it', async () => {
    const cache = backend.newCache();
    const wrap = jest.spyOn(cache, 'wrap');
    const directory = cached({ cache });
    users.holds = true;
    fakeTimers();
    const asked = directory.find(ALICE);
    // Longer than a cache may take.
    await jest.advanceTimersByTimeAsync(2 * SECOND);
    jest.useRealTimers();
    await until(() => users.held.length > 0);
    users.holds = false;
    users.release();
    expect(await asked).toEqual(FINE);
    expect(users.reads).toBe(1);
    await directory.find(ALICE);
    expect(wrap).toHaveBeenCalledTimes(2);
  });
});

describe('what cachedSubjects is given', () => {
  it.each<[problem: string, options: object | undefined]>([
    ['ttl', undefined],
    ['ttl', {}],
    ['ttl', { ttl: 30 }],
    ['ttl', { ttl: '30' }],
    ['ttl', { ttl: '999ms' }],
    ['ttl', { ttl: '61m' }],
    ['refreshAhead', { ttl: '30s', refreshAhead: '30s' }],
    ['refreshAhead', { ttl: '30s', refreshAhead: 5 }],
    ['maxEntries', { ttl: '30s', maxEntries: 0 }],
    ['maxEntries', { ttl: '30s', maxEntries: Infinity }],
    ['maxEntries', { ttl: '30s', maxEntries: 1, cache: new RemoteBackend().newCache() }],
    ['cache', { ttl: '30s', cache: {} }],
    ['cache', { ttl: '30s', cache: null }],
    ['cache', { ttl: '30s', cache: new Keyv() }],
    ['Map', { ttl: '30s', cache: createCache() }],
    ['Map', { ttl: '30s', cache: createCache({ stores: [new Keyv({ store: new Map() })] }) }],
    ['tll', { tll: '30s' }],
  ])('is refused for its %s: %p', (problem, options) => {
    const call = (): unknown => cachedSubjects(users, options as CachedSubjectsOptions);
    expect(call).toThrow(TypeError);
    expect(call).toThrow(problem);
  });

  it.each<[what: string, directory: unknown]>([
    ['nothing', undefined],
    ['a function', async () => null],
    ['a cache', createCache() satisfies Cache],
  ])('is refused when the directory is %s', (_what, directory) => {
    expect(() => cachedSubjects(directory as SubjectDirectory, { ttl: '30s' })).toThrow(TypeError);
  });
});
