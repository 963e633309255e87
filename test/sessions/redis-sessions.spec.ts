import { readRefreshToken } from '../../lib/sessions/refresh-token.js';
import { redisStorage } from '../../lib/storage/redis/redis-storage.js';
import type { Storage } from '../../lib/storage/storage.js';
import {
  describeWithRedis,
  eventually,
  type RedisServer,
  startRedis,
} from '../support/redis-server.js';
import { TestClock } from '../support/test-clock.js';
import {
  AWAY,
  atOnce,
  closeRooms,
  openRoom,
  ownerOf,
  type SessionRoom,
  tally,
} from './session-room.js';

/** Sessions of several instances on a real server. */
describeWithRedis('sessions in Redis', () => {
  let server: RedisServer;
  let rooms: SessionRoom[];
  let storages: Storage[];
  let prefixes = 0;

  beforeAll(async () => {
    server = await startRedis();
  });

  afterAll(() => server.stop());

  async function open(
    reuseGrace: '0s' | '1m' = '1m',
    keyPrefix = `sessions-${prefixes++}:`,
  ): Promise<readonly [SessionRoom, SessionRoom]> {
    const clock = new TestClock(Date.now());
    for (let instance = 0; instance < 2; instance++) {
      const storage = redisStorage({ url: server.url, keyPrefix, deadline: '5s' });
      storages.push(storage);
      const keys = { encryptionKeys: null };
      rooms.push(await openRoom({ storage, keys, sessions: { reuseGrace } }, clock));
    }
    const [one, two] = rooms.slice(-2);
    if (one === undefined || two === undefined) throw new Error('not two instances');
    return [one, two];
  }

  beforeEach(() => {
    rooms = [];
    storages = [];
  });

  afterEach(close);

  async function close(): Promise<void> {
    closeRooms();
    await Promise.all(storages.splice(0).map((storage) => storage.close()));
  }

  it('S002 parallel use, several instances, grace 0: exactly one 200, then the family is dead', async () => {
    const [one, two] = await open('0s');
    for (let round = 0; round < 5; round++) {
      const r1 = await one.start();
      const answers = await atOnce(50, (index) => (index % 2 ? one : two).refreshed(r1));
      const { accepted, ERR_SESSION_REUSED: reused, ...others } = tally(answers);
      expect([accepted, reused]).toEqual([1, 1]);
      // Who hears of the revocation before the store judges it is refused by that.
      for (const code of Object.keys(others))
        expect(code).toMatch(/^ERR_SESSION_(?:ENDED|REVOKED)$/);
      expect(await two.verdict(r1)).toBe('ERR_TOKEN_REVOKED');
      expect(await two.sessions.list('alice')).toEqual([]);
    }
    const alarms = [...one.said('refresh.reused'), ...two.said('refresh.reused')];
    expect(alarms).toHaveLength(5);
  });

  it('S063 winner stays usable: with a window all get the one successor, on every instance', async () => {
    const [one, two] = await open();
    let pair = await one.start();
    for (let round = 0; round < 5; round++) {
      const from = pair;
      const pairs = await atOnce(50, (index) => (index % 2 ? one : two).refresh(from));
      expect(new Set(pairs.map(({ refreshToken }) => refreshToken)).size).toBe(1);
      for (const each of pairs) expect(await two.verdict(each)).toBe('accepted');
      pair = pairs[0] ?? from;
    }
  });

  it('S035 logout seen everywhere: on A, then use of access and refresh token on B', async () => {
    const [a, b] = await open();
    const pair = await a.start();
    expect(await b.verdict(pair)).toBe('accepted');
    await a.sessions.end(pair.sessionId);
    expect(await b.refreshed(pair)).toBe('ERR_SESSION_UNKNOWN');
    await eventually('B hears of it', async () => (await b.verdict(pair)) === 'ERR_TOKEN_REVOKED');
  });

  it('S005 theft: R1 after R2 was used ends it on every instance, with one alarm', async () => {
    const [a, b] = await open();
    const r1 = await a.start();
    const r3 = await b.refresh(await a.refresh(r1));
    const answers = await atOnce(20, (index) => (index % 2 ? a : b).refreshed(r1));
    expect(tally(answers)).toEqual({ ERR_SESSION_REUSED: 1, ERR_SESSION_ENDED: 19 });
    for (const room of [a, b]) {
      expect(await room.refreshed(r3)).toBe('ERR_SESSION_ENDED');
      await eventually('it is heard', async () => (await room.verdict(r3)) === 'ERR_TOKEN_REVOKED');
    }
    expect([...a.said('refresh.reused'), ...b.said('refresh.reused')]).toHaveLength(1);
  });

  it('a theft whose first verdict is lost is told by one of those that hear of it later', async () => {
    const [a, b] = await open();
    const certificateOf = (whose: string) =>
      ({ binding: { kind: 'mtls', value: `${whose.repeat(42)}A` } }) as const;
    const r1 = await a.start(certificateOf('O'));
    a.store.once('after', 'rotate', () => Promise.reject(AWAY));
    const stolen = certificateOf('T');
    expect(await a.refreshed(r1, stolen)).toBe('ERR_STORE_UNAVAILABLE');
    const answers = await atOnce(50, (index) => (index % 2 ? a : b).refreshed(r1));
    expect(tally(answers)).toEqual({ ERR_SESSION_ENDED: 50 });
    expect([...a.said('refresh.reused'), ...b.said('refresh.reused')]).toMatchObject([
      { sessionId: r1.sessionId, misuse: 'binding' },
    ]);
  });

  it('no more than configured are left to a subject, however many begin at once, and where', async () => {
    const [a, b] = await open();
    const begin = (index: number) => (index % 2 ? a : b).start();
    // Of those that begin last nobody is to be pushed out before it has begun.
    const pairs = [...(await atOnce(100, begin)), ...(await atOnce(20, begin))];
    const live = (await a.sessions.list('alice')).map(({ sessionId }) => sessionId);
    expect(live).toHaveLength(100);
    const ended = [...a.said('session.ended'), ...b.said('session.ended')];
    expect([...live, ...ended.map(({ sessionId }) => sessionId)].toSorted()).toEqual(
      pairs.map(({ sessionId }) => sessionId).toSorted(),
    );
    const lost = pairs.find(({ sessionId }) => sessionId === ended[0]?.sessionId);
    if (lost === undefined) throw new Error('none was ended');
    expect(await b.refreshed(lost)).toBe('ERR_SESSION_UNKNOWN');
    await eventually('it is heard', async () => (await b.verdict(lost)) === 'ERR_TOKEN_REVOKED');
  });

  it('goes on after a restart of every instance, and forgets no former token by it', async () => {
    const keyPrefix = 'restarted:';
    const [a] = await open('1m', keyPrefix);
    const r1 = await a.start({ device: 'Firefox' });
    const r2 = await a.refresh(r1);
    await close();
    const [c, d] = await open('1m', keyPrefix);
    expect(await c.verdict(r2)).toBe('accepted');
    expect(await c.refresh(r1)).toMatchObject({ refreshToken: r2.refreshToken });
    const r3 = await d.refresh(r2);
    expect(await c.refreshed(r1)).toBe('ERR_SESSION_REUSED');
    expect(await d.refreshed(r3)).toBe('ERR_SESSION_ENDED');
  });

  it.each(['revokeSubject', 'bumpTokenVersion', 'revokeAll'] as const)(
    '%s on one instance, with starts and refreshes on the other: none outlives it, none dies of it',
    async (verb) => {
      const [a, b] = await open();
      for (let round = 0; round < 20; round++) {
        const first = await b.start();
        const racing = [
          b.start().catch(() => undefined),
          b.refresh(first).catch(() => undefined),
          a.start().catch(() => undefined),
        ];
        await (verb === 'revokeAll' ? a.revocations.revokeAll() : a.revocations[verb]('alice'));
        const later = await b.start();
        const raced = await Promise.all(racing);
        expect(await b.refreshed(first)).toMatch(/^ERR_SESSION_(?:UNKNOWN|REVOKED)$/);
        expect(await b.verdict(first)).toBe('ERR_TOKEN_REVOKED');
        expect(await a.verdict(raced[1] ?? first)).toBe('ERR_TOKEN_REVOKED');
        expect(await a.verdict(later)).toBe('accepted');
        expect(await a.refreshed(later)).toBe('accepted');
      }
    },
  );

  it('keeps nothing that could be used as a token, or says who uses the service', async () => {
    const [a] = await open();
    const start = { carrier: 'cookie', roles: ['director'], scope: 'salaries' } as const;
    const r1 = await a.start(start, 'alice-the-director');
    const r2 = await a.refresh(r1);
    const dump = await dumpOf(server, ownerOf('alice-the-director'));
    expect(dump).toContain(r1.sessionId);
    for (const { refreshToken, accessToken, csrfToken = '' } of [r1, r2]) {
      const token = readRefreshToken(refreshToken);
      const secrets = [token?.secret, token?.lineage].map(
        (part) => part?.toString('base64url').slice(0, 20) ?? '',
      );
      for (const text of [refreshToken.slice(4), accessToken, csrfToken, ...secrets]) {
        expect(dump.includes(text)).toBe(false);
      }
    }
    for (const word of ['alice', 'director', 'salaries']) expect(dump).not.toContain(word);
  });
});

/** All that the server holds of one owner, as text. */
async function dumpOf(server: RedisServer, owner: string): Promise<string> {
  const keys = (await server.command('KEYS', `*${owner}*`)) as readonly string[];
  const values = await Promise.all(
    keys.map(async (key) =>
      (await server.command('TYPE', key)) === 'hash'
        ? server.command('HGETALL', key)
        : server.command('ZRANGE', key, '0', '-1'),
    ),
  );
  return JSON.stringify([keys, values]);
}
