import type { LogPage, RevocationLog } from '../../../lib/revocation/revocation-log.js';
import { redisStorage } from '../../../lib/storage/redis/redis-storage.js';
import type { Storage } from '../../../lib/storage/storage.js';
import { describeWithRedis, type RedisServer, startRedis } from '../../support/redis-server.js';
import { carried } from './steady-load.js';

const HOUR = 3_600_000;
const ENTRIES = 'njh:{log}:entries';
const STATE = 'njh:{log}:state';

describeWithRedis('a page of the log in Redis', () => {
  let server: RedisServer;
  let storage: Storage;
  let log: RevocationLog;

  beforeEach(async () => {
    server = await startRedis();
    storage = redisStorage({ url: server.url, deadline: '5s', maxPending: 5_000 });
    log = carried(storage).revocationLog;
  });

  afterEach(async () => {
    await storage.close();
    await server.stop();
  });

  it('has at most 1000 entries, however many are asked for, and says that more follow', async () => {
    const expiresAt = Date.now() + HOUR;
    const texts = Array.from({ length: 2_050 }, (_, index) => `entry-${index}`);
    await Promise.all(texts.map((data) => log.append({ data, expiresAt })));
    const pages: LogPage[] = [];
    for (let after: string | null = null; pages.length < 5;) {
      const page = await log.read({ after, limit: 1_000_000 });
      pages.push(page);
      if (page.verdict === 'lost' || page.atEnd) break;
      after = page.position;
    }
    const read = pages.map((page) => (page.verdict === 'read' ? page.entries : []));
    expect(read.map(({ length }) => length)).toEqual([1_000, 1_000, 50]);
    expect(new Set(read.flat().map(({ data }) => data))).toEqual(new Set(texts));
  });

  it('ends where it was asked to, and is the last one only if nothing follows', async () => {
    const expiresAt = Date.now() + HOUR;
    for (const data of ['a', 'b', 'c']) await log.append({ data, expiresAt });
    for (const [limit, atEnd] of [
      [2, false],
      [3, true],
      [4, true],
    ] as const) {
      expect(await log.read({ after: null, limit })).toMatchObject({ verdict: 'read', atEnd });
    }
  });

  it('goes on past entries that were taken away because they had expired', async () => {
    const expiresAt = Date.now() + HOUR;
    const first = await log.append({ data: 'a', expiresAt });
    await log.append({ data: 'b', expiresAt: 0 });
    // Every append takes away what has expired among four entries.
    await log.append({ data: 'c', expiresAt });
    expect(await server.command('XLEN', ENTRIES)).toBe(2);
    expect(await log.read({ after: first.position, limit: 1 })).toMatchObject({
      verdict: 'read',
      entries: [{ data: 'c' }],
      atEnd: true,
    });
  });

  it('arrives from a server that has forgotten every script', async () => {
    const { position } = await log.append({ data: 'a', expiresAt: Date.now() + HOUR });
    await log.read({ after: null, limit: 10 });
    await server.command('SCRIPT', 'FLUSH');
    expect(await log.read({ after: null, limit: 10 })).toMatchObject({ entries: [{ data: 'a' }] });
    await server.command('SCRIPT', 'FLUSH');
    expect(await log.read({ after: position, limit: 10 })).toMatchObject({ entries: [] });
  });

  it.each([
    ['a number was given twice', '1-1', '2-1'],
    ['numbers run back', '1-5', '2-3'],
  ])('says lost when %s', async (_what, ...ids) => {
    for (const id of ids) await server.command('XADD', ENTRIES, id, 'e', '1:2:a');
    await server.command('HSET', STATE, 'id', 'a'.repeat(32), 'time', '2', 'number', '9');
    expect(await log.read({ after: null, limit: 10 })).toEqual({ verdict: 'lost' });
  });

  it.each([
    ['without an expiry', 'text'],
    ['without a text', '1:2'],
    ['with an expiry that is no number', '1e3:2:text'],
    ['with a number too long to be exact', `${'9'.repeat(17)}:2:text`],
    ['with an expiry before zero', '-1:2:text'],
    ['that is empty', ''],
  ])('is corrupt with an entry %s', async (_what, field) => {
    await server.command('XADD', ENTRIES, '1-1', 'e', field);
    await server.command('HSET', STATE, 'id', 'a'.repeat(32), 'time', '1', 'number', '1');
    await expect(log.read({ after: null, limit: 10 })).rejects.toMatchObject({
      name: 'StoreError',
      code: 'ERR_STORE_CORRUPT',
    });
  });
});
