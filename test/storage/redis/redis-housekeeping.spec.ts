import { Redis } from 'ioredis';

import { redisStorage } from '../../../lib/storage/redis/redis-storage.js';
import type { Storage } from '../../../lib/storage/storage.js';
import {
  describeWithRedis,
  eventually,
  type RedisServer,
  startRedis,
} from '../../support/redis-server.js';
import { carried, digest } from './steady-load.js';

const HOUR = 3_600_000;
/** So long the log keeps what has expired. */
const MARGIN = 300_000;

describeWithRedis('redisStorage() leaves nothing behind', () => {
  let server: RedisServer;
  let storage: Storage;
  let admin: Redis;

  beforeAll(async () => {
    server = await startRedis();
    admin = new Redis(server.url);
  });

  afterAll(async () => {
    admin.disconnect();
    await server.stop();
  });

  beforeEach(async () => {
    await admin.flushall();
    storage = redisStorage({
      url: server.url,
      keyPrefix: 'app-1-:',
      deadline: '2s',
      maxPending: 5_000,
    });
  });

  afterEach(() => storage.close());

  it('writes only under its prefix, and every key expires but that of the ring', async () => {
    const { keyStore, revocationLog, sessionStore, replayStore, attemptStore } = carried(storage);
    await keyStore.replace({ expectedVersion: null, ring: 'r' });
    await revocationLog.append({ data: 'd', expiresAt: Date.now() + HOUR });
    await startSession(sessionStore, 'kept', HOUR);
    await startSession(sessionStore, 'misused', HOUR);
    await present(sessionStore, 'misused', 'forged');
    await replayStore.claimOnce({ key: 'k', expiresAt: Date.now() + HOUR });
    await attemptStore.record({ key: 'k', window: HOUR, runsFrom: 'first' });
    const keys = await admin.keys('*');
    expect(keys.length).toBeGreaterThan(7);
    for (const key of keys) {
      expect(key.startsWith('app-1-:')).toBe(true);
      expect((await admin.pttl(key)) > 0).toBe(!key.endsWith('{keyring}'));
    }
  });

  it('stores nothing of a key that was claimed or counted but a digest', async () => {
    const { replayStore, attemptStore } = carried(storage);
    await replayStore.claimOnce({ key: 'alice@example.org', expiresAt: Date.now() + HOUR });
    await attemptStore.record({ key: 'alice@example.org', window: HOUR, runsFrom: 'last' });
    expect((await admin.keys('*')).filter((key) => key.includes('alice'))).toEqual([]);
  });

  it('keeps the log as short as its live entries, though the first one lives long', async () => {
    const { revocationLog } = carried(storage);
    await revocationLog.append({ data: 'long', expiresAt: Date.now() + HOUR });
    const append = (): Promise<unknown> =>
      revocationLog.append({ data: 'short', expiresAt: Date.now() - MARGIN + 50 });
    let longest = 0;
    for (let round = 0; round < 40; round++) {
      await Promise.all(Array.from({ length: 50 }, append));
      longest = Math.max(longest, await admin.xlen('app-1-:{log}:entries'));
    }
    await eventually('they have expired', async () => {
      await append();
      return (await admin.xlen('app-1-:{log}:entries')) < 20;
    });
    expect(longest).toBeLessThan(1_500);
    const page = await revocationLog.read({ after: null, limit: 100 });
    expect(page).toMatchObject({ verdict: 'read', atEnd: true });
    expect(page.verdict === 'read' ? page.entries[0]?.data : undefined).toBe('long');
  });

  it('goes on from a position whose log has expired as a whole, and loses nothing', async () => {
    const { revocationLog } = carried(storage);
    const { position } = await revocationLog.append({ data: 'a', expiresAt: Date.now() - MARGIN });
    await eventually('the log is gone', async () => (await admin.keys('*{log}*')).length === 0);
    expect(await revocationLog.read({ after: position, limit: 10 })).toEqual({
      verdict: 'read',
      entries: [],
      position: null,
      atEnd: true,
    });
    await revocationLog.append({ data: 'b', expiresAt: Date.now() + HOUR });
    expect(await revocationLog.read({ after: position, limit: 10 })).toMatchObject({
      verdict: 'read',
      entries: [{ data: 'b' }],
    });
  });

  it('shows an entry that has expired by its clock, and keeps it for five minutes more', async () => {
    const { revocationLog } = carried(storage);
    const ahead = { data: 'a', expiresAt: Date.now() - MARGIN + 30_000 };
    await revocationLog.append(ahead);
    await revocationLog.append({ ...ahead, data: 'b' });
    expect(await revocationLog.read({ after: null, limit: 10 })).toMatchObject({
      entries: [ahead, { data: 'b' }],
    });
    expect(await admin.pttl('app-1-:{log}:entries')).toBeGreaterThan(20_000);
  });

  it('takes a log whose last entry is from before the one a reader knows for lost', async () => {
    const { revocationLog } = carried(storage);
    const { position } = await revocationLog.append({ data: 'a', expiresAt: Date.now() + HOUR });
    await admin.hset('app-1-:{log}:state', 'time', String(Date.now() - HOUR));
    const request = { after: position, limit: 10 };
    expect(await revocationLog.read(request)).toEqual({ verdict: 'lost' });
  });

  it.each(['entries', 'state'])('takes a log that lost its %s for lost', async (part) => {
    const { revocationLog } = carried(storage);
    const { position } = await revocationLog.append({ data: 'a', expiresAt: Date.now() + HOUR });
    await admin.del(`app-1-:{log}:${part}`);
    const request = { after: position, limit: 10 };
    expect(await revocationLog.read(request)).toEqual({ verdict: 'lost' });
    expect(await revocationLog.read({ ...request, after: null })).toEqual({ verdict: 'lost' });
    await revocationLog.append({ data: 'b', expiresAt: Date.now() + HOUR });
    expect(await revocationLog.read(request)).toEqual({ verdict: 'lost' });
  });

  it('refuses an expiry more than 400 days ahead', async () => {
    const entry = { data: 'a', expiresAt: Date.now() + 401 * 24 * HOUR };
    await expect(carried(storage).revocationLog.append(entry)).rejects.toThrow(TypeError);
  });

  it('forgets the names of expired sessions while new ones come', async () => {
    const { sessionStore } = carried(storage);
    for (let index = 0; index < 300; index++) await startSession(sessionStore, `s${index}`, 30);
    expect(await admin.zcard('app-1-:sessions:{owner}')).toBeLessThan(290);
    await eventually('they are gone', async () => (await sessionStore.count()).sessions === 0);
    expect(await sessionStore.list('owner')).toEqual([]);
    expect(await admin.zcard('app-1-:sessions:{owner}')).toBe(0);
  });

  it('remembers 32 generations of a session and no more', async () => {
    const { sessionStore } = carried(storage);
    await startSession(sessionStore, 'long', HOUR);
    for (let generation = 0; generation < 200; generation++) {
      await present(sessionStore, 'long', `secret-${generation}`, `secret-${generation + 1}`);
    }
    expect(await admin.hstrlen('app-1-:session:{owner}:long', 'older')).toBe(32 * 12);
    expect(await present(sessionStore, 'long', 'secret-170')).toMatchObject({ misuse: 'older' });
  });

  it('counts sessions beside more other keys than one page holds', async () => {
    const { sessionStore } = carried(storage);
    const pipeline = admin.pipeline();
    for (let index = 0; index < 3_000; index++) pipeline.set(`other-${index}`, '1');
    await pipeline.exec();
    await Promise.all(
      Array.from({ length: 1_200 }, (_, index) => startSession(sessionStore, `s${index}`, HOUR)),
    );
    expect(await sessionStore.count()).toEqual({ sessions: 1_200, owners: 1 });
  });

  it('counts an owner whose sessions lie on many pages once, however many of them are over', async () => {
    const { sessionStore } = carried(storage);
    const owners = Array.from({ length: 600 }, (_, index) => `owner-${index}`);
    const start = (owner: string, id: string, idleFor: number): ReturnType<typeof startSession> =>
      startSession(sessionStore, id, idleFor, owner);
    await Promise.all(
      owners.flatMap((owner) => [start(owner, 'a', HOUR), start(owner, 'b', HOUR)]),
    );
    // Names of sessions that are over, newer than those that live and more than are asked for at once.
    for (let index = 0; index < 40; index++) {
      await admin.zadd('app-1-:sessions:{owner-0}', Date.now() + HOUR + index, `over-${index}`);
    }
    await admin.zadd('app-1-:sessions:{owner-none}', 1, 'over');
    expect(await sessionStore.count()).toEqual({ sessions: 1_200, owners: 600 });
  });
});

type SessionStore = ReturnType<typeof carried>['sessionStore'];

function startSession(
  store: SessionStore,
  id: string,
  idleFor: number,
  owner = 'owner',
): Promise<readonly string[] | null> {
  const key = { owner, id };
  const token = { lineage: digest('l'), secret: digest('secret-0'), binding: null };
  return store.create({ key, ...token, data: '', idleFor, absoluteFor: HOUR, atMost: 2_000 });
}

function present(
  store: SessionStore,
  id: string,
  secret: string,
  next = 'next',
): ReturnType<SessionStore['rotate']> {
  const key = { owner: 'owner', id };
  return store.rotate({
    presented: { key, lineage: digest('l'), secret: digest(secret), binding: null },
    next: { secret: digest(next), sealed: next, data: null },
    graceFor: 0,
    askedAt: null,
  });
}
