import { readRefreshToken, writeRefreshToken } from '../../lib/sessions/refresh-token.js';
import type { SessionReuse, TokenPair } from '../../lib/sessions/session.js';
import { memoryStorage } from '../../lib/storage/memory/memory-storage.js';
import { NotCarried, type Storage } from '../../lib/storage/storage.js';
import { eventually } from '../support/redis-server.js';
import {
  atOnce,
  AWAY,
  closeRooms,
  HOUR,
  openRoom,
  type SessionRoom,
  tally,
} from './session-room.js';

let room: SessionRoom;
let told: SessionReuse[];
let react: (reuse: SessionReuse) => unknown;

beforeEach(async () => {
  told = [];
  react = () => undefined;
  room = await openRoom({
    sessions: {
      onReuse: (reuse) => {
        told.push(reuse);
        return react(reuse);
      },
    },
  });
});

afterEach(closeRooms);

/** A session whose first token is one that nobody may use any more; answers that and the current. */
async function stolen(): Promise<{ readonly old: TokenPair; readonly current: TokenPair }> {
  const old = await room.start({
    device: 'Firefox on Linux',
    address: '192.0.2.77',
    clientId: 'app',
  });
  const next = await room.refresh(old, { clientId: 'app' });
  return { old, current: await room.refresh(next, { clientId: 'app', address: '198.51.100.7' }) };
}

describe('the alarm', () => {
  it('tells the owner what was misused, and no token', async () => {
    const startedAt = new Date(room.clock.now());
    const { old } = await stolen();
    room.clock.advance(HOUR);
    await room.refreshed(old, { clientId: 'app', address: '203.0.113.5', device: 'curl' });
    expect(told).toEqual([
      {
        subject: 'alice',
        sessionId: old.sessionId,
        clientId: 'app',
        misuse: 'recent',
        device: 'Firefox on Linux',
        addressPrefix: '198.51.100.0/24',
        startedAt,
      },
    ]);
    expect(Object.isFrozen(told[0])).toBe(true);
  });

  it('is raised once, of 50 misuses at once', async () => {
    const { old, current } = await stolen();
    const answers = await atOnce(50, (index) =>
      room.refreshed(index % 2 ? old : { ...current, refreshToken: forgedFrom(current) }, {
        clientId: 'app',
      }),
    );
    expect(tally(answers)).toEqual({ ERR_SESSION_REUSED: 1, ERR_SESSION_ENDED: 49 });
    expect(told).toHaveLength(1);
    expect(room.said('refresh.reused')).toHaveLength(1);
    expect(await room.verdict(current)).toBe('ERR_TOKEN_REVOKED');
  });

  it.each<[what: string, listener: () => unknown]>([
    ['throws', () => fail()],
    ['rejects', () => Promise.reject(new RangeError('alice@example.com'))],
    ['throws nothing in particular', () => Promise.reject(undefined)],
  ])('changes nothing when who is told %s', async (_what, listener) => {
    react = listener;
    const { old, current } = await stolen();
    expect(await room.refreshed(old, { clientId: 'app' })).toBe('ERR_SESSION_REUSED');
    expect(await room.verdict(current)).toBe('ERR_TOKEN_REVOKED');
    await eventually('it is said', () => room.said('session.unnotified').length === 1);
    expect(JSON.stringify(room.said('session.unnotified'))).not.toContain('alice');
    expect(await room.refreshed(current, { clientId: 'app' })).toBe('ERR_SESSION_ENDED');
    expect(told).toHaveLength(1);
  });

  it('waits for nobody', async () => {
    react = () => new Promise(() => {});
    const { old, current } = await stolen();
    expect(await room.refreshed(old, { clientId: 'app' })).toBe('ERR_SESSION_REUSED');
    expect(await room.verdict(current)).toBe('ERR_TOKEN_REVOKED');
  });

  it('is not raised by a logout, nor by what comes after one', async () => {
    const { old, current } = await stolen();
    await room.sessions.end(current.sessionId);
    expect(await room.refreshed(old, { clientId: 'app' })).toBe('ERR_SESSION_UNKNOWN');
    expect(told).toEqual([]);
  });

  it('is raised for a secret of the right lineage that was never issued, and for nothing guessed', async () => {
    const { current } = await stolen();
    const guess = { ...current, refreshToken: forgedFrom(current, 'lineage') };
    expect(await room.refreshed(guess, { clientId: 'app' })).toBe('ERR_SESSION_UNKNOWN');
    expect(told).toEqual([]);
    const forged = { ...current, refreshToken: forgedFrom(current) };
    expect(await room.refreshed(forged, { clientId: 'app' })).toBe('ERR_SESSION_REUSED');
    expect(told).toMatchObject([{ misuse: 'unknown' }]);
    expect(await room.refreshed(current, { clientId: 'app' })).toBe('ERR_SESSION_ENDED');
  });
});

describe('an alarm that could get lost', () => {
  type Claims = Storage['replayStore'];

  /** An instance on a storage that others use too, with a place of its own for what was claimed. */
  function instanceOn(storage: Storage, replayStore: Claims = storage.replayStore) {
    const onReuse = (reuse: SessionReuse): void => void told.push(reuse);
    const { keyStore } = memoryStorage();
    const shared = { ...storage, keyStore, replayStore };
    const sessions = { onReuse };
    return openRoom({ storage: shared, sessions, binding: { mtls: {} } }, room.clock);
  }

  const own = { binding: { kind: 'mtls', value: `${'O'.repeat(42)}A` } } as const;
  const binding = { kind: 'mtls', value: `${'T'.repeat(42)}A` } as const;

  it('with the answer of the store is raised by the next use of any token, as what it was', async () => {
    const pair = await room.start({ ...own, device: 'Firefox on Linux' });
    room.store.once('after', 'rotate', () => Promise.reject(AWAY));
    expect(await room.refreshed(pair, { binding })).toBe('ERR_STORE_UNAVAILABLE');
    expect(told).toEqual([]);
    const answers = await atOnce(50, () => room.refreshed(pair));
    expect(tally(answers)).toEqual({ ERR_SESSION_ENDED: 50 });
    expect(told).toMatchObject([
      { subject: 'alice', misuse: 'binding', device: 'Firefox on Linux' },
    ]);
    expect(room.said('refresh.reused')).toMatchObject([{ misuse: 'binding' }]);
    expect(await room.verdict(pair)).toBe('ERR_TOKEN_REVOKED');
  });

  it('with the instance that got the verdict is raised by another', async () => {
    const storage = memoryStorage({ clock: room.clock });
    const [dying, living] = [await instanceOn(storage), await instanceOn(storage)];
    const pair = await dying.start(own);
    const isJudged = new Promise<void>((resolve) => {
      dying.store.once('after', 'rotate', () => {
        resolve();
        return new Promise(() => {});
      });
    });
    void dying.refresh(pair, { binding });
    await isJudged;
    expect(await living.refreshed(pair)).toBe('ERR_SESSION_ENDED');
    expect(told).toMatchObject([{ subject: 'alice', misuse: 'binding' }]);
    await eventually('it is heard', async () => (await dying.verdict(pair)) !== 'accepted');
  });

  it('because nothing can be claimed is raised by the first verdict all the same', async () => {
    const storage = memoryStorage({ clock: room.clock });
    const claimOnce = jest.fn<Promise<boolean>, []>().mockRejectedValue(AWAY);
    const one = await instanceOn(storage, { claimOnce });
    const pair = await one.start(own);
    expect(await one.refreshed(pair, { binding })).toBe('ERR_SESSION_REUSED');
    expect(await one.refreshed(pair)).toBe('ERR_SESSION_ENDED');
    expect(told).toHaveLength(1);
    expect(await one.verdict(pair)).toBe('ERR_TOKEN_REVOKED');
  });

  it('where nothing can ever be claimed is raised by the first verdict alone', async () => {
    const storage = memoryStorage({ clock: room.clock });
    const one = await instanceOn(storage, new NotCarried('it cannot claim'));
    const pair = await one.start(own);
    expect(await one.refreshed(pair, { binding })).toBe('ERR_SESSION_REUSED');
    for (let times = 0; times < 3; times++) await one.refreshed(pair);
    expect(told).toHaveLength(1);
  });

  it('is raised whatever somebody wrote where the session was', async () => {
    const pair = await room.start(own);
    const rotate = room.store.rotate.bind(room.store);
    const spoiled = jest.spyOn(room.store, 'rotate').mockImplementation(async (request) => {
      const verdict = await rotate(request);
      return 'session' in verdict
        ? { ...verdict, session: { ...verdict.session, data: '{' } }
        : verdict;
    });
    expect(await room.refreshed(pair, { binding })).toBe('ERR_SESSION_REUSED');
    spoiled.mockRestore();
    expect(room.said('refresh.reused')).toMatchObject([{ misuse: 'binding' }]);
    expect(await room.verdict(pair)).toBe('ERR_TOKEN_REVOKED');
  });
});

/** The same token but for one bit of a part of it. */
function forgedFrom({ refreshToken }: TokenPair, part: 'secret' | 'lineage' = 'secret'): string {
  const token = readRefreshToken(refreshToken);
  if (token === undefined) throw new Error('it is no refresh token');
  const bytes = Buffer.from(token[part]);
  bytes.writeUInt8(bytes.readUInt8(9) ^ 1, 9);
  return writeRefreshToken({ ...token, [part]: bytes });
}

function fail(): never {
  throw new Error('no mail server for alice@example.com');
}
