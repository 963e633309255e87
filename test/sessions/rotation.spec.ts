import { codeOf } from '../revocation/instances.js';
import {
  AWAY,
  closeRooms,
  atOnce,
  openRoom,
  SECOND,
  type SessionRoom,
  tally,
} from './session-room.js';

/** Refresh tokens are good once. Numbers S001 to S063 are those of the catalogue of scenarios. */
let room: SessionRoom;

beforeEach(async () => {
  room = await openRoom();
});

afterEach(closeRooms);

describe('S001 sequential reuse', () => {
  it.each<[when: string, grace: '0s' | '10s', later: number]>([
    ['at once, without a window', '0s', 0],
    ['when the window has closed', '10s', 10 * SECOND],
  ])('%s: 401 for R1, R2 and every member of the family', async (_when, reuseGrace, later) => {
    room = await openRoom({ sessions: { reuseGrace } });
    const r1 = await room.start();
    const r2 = await room.refresh(r1);
    room.clock.advance(later);
    expect(await room.refreshed(r1)).toBe('ERR_SESSION_REUSED');
    expect(await room.refreshed(r2)).toBe('ERR_SESSION_ENDED');
    expect(await room.refreshed(r1)).toBe('ERR_SESSION_ENDED');
    for (const pair of [r1, r2]) expect(await room.verdict(pair)).toBe('ERR_TOKEN_REVOKED');
    const { sessionId } = r1;
    expect(room.said('refresh.reused')).toEqual([
      { type: 'refresh.reused', at: new Date(room.clock.now()), sessionId, misuse: 'recent' },
    ]);
    expect(await room.sessions.list('alice')).toEqual([]);
  });

  it('leaves the other sessions of the same subject alone', async () => {
    const other = await room.start();
    const r1 = await room.start();
    await room.refresh(await room.refresh(r1));
    expect(await room.refreshed(r1)).toBe('ERR_SESSION_REUSED');
    expect(await room.verdict(other)).toBe('accepted');
    expect(await room.refreshed(other)).toBe('accepted');
  });
});

describe('S002 parallel use of one refresh token, one instance', () => {
  it('grace 0: exactly one 200; afterwards the family is revoked', async () => {
    room = await openRoom({ sessions: { reuseGrace: '0s' } });
    for (let round = 0; round < 10; round++) {
      const r1 = await room.start();
      const winners: Awaited<ReturnType<SessionRoom['refresh']>>[] = [];
      const answers = await atOnce(50, () =>
        room.refresh(r1).then(
          (pair) => {
            winners.push(pair);
            return 'accepted';
          },
          (error: unknown) => codeOf(error),
        ),
      );
      expect(tally(answers)).toEqual({
        accepted: 1,
        ERR_SESSION_REUSED: 1,
        ERR_SESSION_ENDED: 48,
      });
      for (const winner of winners) {
        expect(await room.refreshed(winner)).toBe('ERR_SESSION_ENDED');
        expect(await room.verdict(winner)).toBe('ERR_TOKEN_REVOKED');
      }
    }
    expect(room.said('refresh.reused')).toHaveLength(10);
  });

  it('grace 10 s: everybody gets the one successor, with an access token of their own', async () => {
    const r1 = await room.start();
    const pairs = await atOnce(50, () => room.refresh(r1));
    expect(new Set(pairs.map(({ refreshToken }) => refreshToken)).size).toBe(1);
    expect(new Set(pairs.map(({ accessToken }) => accessToken)).size).toBe(50);
    for (const pair of pairs) expect(await room.verdict(pair)).toBe('accepted');
    const outcomes = room.said('session.refreshed').map(({ outcome }) => outcome);
    expect(tally(outcomes)).toEqual({ rotated: 1, repeated: 49 });
  });
});

describe('S063 winner stays usable', () => {
  it("rotates with the winner's child after each parallel race", async () => {
    let pair = await room.start();
    for (let round = 0; round < 20; round++) {
      const from = pair;
      const [first] = await atOnce(10, () => room.refresh(from));
      if (first === undefined) throw new Error('nobody won');
      pair = first;
      room.clock.advance(60 * SECOND);
    }
    expect(await room.refreshed(pair)).toBe('accepted');
    expect(room.said('refresh.reused')).toEqual([]);
  });
});

describe('S005 theft pattern S1 R1, S2 R1', () => {
  it('attacker refreshes R1 after R2 was used: theft detected, session killed, hook called once', async () => {
    const told = jest.fn();
    room = await openRoom({ sessions: { onReuse: told } });
    const r1 = await room.start();
    const r2 = await room.refresh(r1);
    const r3 = await room.refresh(r2);
    expect(await room.refreshed(r1)).toBe('ERR_SESSION_REUSED');
    expect(await room.refreshed(r3)).toBe('ERR_SESSION_ENDED');
    expect(await room.verdict(r3)).toBe('ERR_TOKEN_REVOKED');
    expect(told).toHaveBeenCalledTimes(1);
  });
});

describe('the grace window', () => {
  it('is not extended by who uses it', async () => {
    const r1 = await room.start();
    await room.refresh(r1);
    for (let elapsed = 0; elapsed < 9 * SECOND; elapsed += 3 * SECOND) {
      room.clock.advance(3 * SECOND);
      expect(await room.refreshed(r1)).toBe('accepted');
    }
    room.clock.advance(SECOND);
    expect(await room.refreshed(r1)).toBe('ERR_SESSION_REUSED');
  });

  it('is open to its last millisecond, and no longer', async () => {
    const [one, two] = [await room.start(), await room.start()];
    await Promise.all([room.refresh(one), room.refresh(two)]);
    room.clock.advance(10 * SECOND - 1);
    expect(await room.refreshed(one)).toBe('accepted');
    room.clock.advance(1);
    expect(await room.refreshed(two)).toBe('ERR_SESSION_REUSED');
  });

  it('is closed by the use of the successor, also by one that nobody was answered', async () => {
    const r1 = await room.start();
    const r2 = await room.refresh(r1);
    room.store.once('after', 'rotate', () => Promise.reject(AWAY));
    expect(await room.refreshed(r2)).toBe('ERR_STORE_UNAVAILABLE');
    expect(await room.refreshed(r1)).toBe('ERR_SESSION_REUSED');
  });

  it("is none for the predecessor's predecessor, however young", async () => {
    const r1 = await room.start();
    const r2 = await room.refresh(r1);
    const r3 = await room.refresh(r2);
    await room.refresh(r3);
    expect(await room.refreshed(r1)).toBe('ERR_SESSION_REUSED');
    expect(room.said('refresh.reused')).toMatchObject([{ misuse: 'older' }]);
  });

  it('opens no more when the clock is set back', async () => {
    const r1 = await room.start();
    await room.refresh(r1);
    room.clock.advance(-5 * SECOND);
    expect(await room.refreshed(r1)).toBe('ERR_SESSION_REUSED');
  });

  it('gives each tab the scope it asks for', async () => {
    const r1 = await room.start({ scope: ['a', 'b'] });
    const [one, two] = await Promise.all([room.refresh(r1, { scope: 'a' }), room.refresh(r1)]);
    expect([one.scope, two.scope]).toEqual(['a', 'a b']);
    expect(two.refreshToken).toBe(one.refreshToken);
  });
});

describe('an answer that is lost', () => {
  it('after the rotation is given again to who asks in the window', async () => {
    const r1 = await room.start();
    room.store.once('after', 'rotate', () => Promise.reject(AWAY));
    expect(await room.refreshed(r1)).toBe('ERR_STORE_UNAVAILABLE');
    const r2 = await room.refresh(r1);
    expect(await room.refreshed(r2)).toBe('accepted');
  });

  it('leaves the user cleanly out when asked for after the window', async () => {
    const r1 = await room.start();
    room.store.once('after', 'rotate', () => Promise.reject(AWAY));
    await room.refreshed(r1);
    room.clock.advance(10 * SECOND);
    expect(await room.refreshed(r1)).toBe('ERR_SESSION_REUSED');
    expect(await room.sessions.list('alice')).toEqual([]);
    expect(await room.refreshed(await room.start())).toBe('accepted');
  });

  it.each(['find', 'rotate'] as const)(
    'before the %s uses nothing up: the same token works, long after the window',
    async (verb) => {
      const r1 = await room.start();
      room.store.once('before', verb, () => Promise.reject(AWAY));
      expect(await room.refreshed(r1)).toBe('ERR_STORE_UNAVAILABLE');
      room.clock.advance(60 * SECOND);
      expect(await room.refreshed(r1)).toBe('accepted');
    },
  );
});

describe('a session that misuse has ended, while revoking failed', () => {
  it('is revoked by the next use of any of its tokens', async () => {
    const r1 = await room.start();
    const r2 = await room.refresh(r1);
    const r3 = await room.refresh(r2);
    const revoke = jest.spyOn(room.revocations, 'revokeSession').mockRejectedValueOnce(AWAY);
    expect(await room.refreshed(r1)).toBe('ERR_STORE_UNAVAILABLE');
    expect(await room.verdict(r3)).toBe('accepted');
    expect(await room.refreshed(r3)).toBe('ERR_SESSION_ENDED');
    expect(await room.verdict(r3)).toBe('ERR_TOKEN_REVOKED');
    expect(room.said('refresh.reused')).toHaveLength(1);
    revoke.mockRestore();
  });

  it('is revoked once, however often its tokens are used', async () => {
    const r1 = await room.start();
    await room.refresh(await room.refresh(r1));
    await room.refreshed(r1);
    const before = room.said('revocation.made').length;
    expect(before).toBe(1);
    const answers = await atOnce(50, () => room.refreshed(r1));
    expect(tally(answers)).toEqual({ ERR_SESSION_ENDED: 50 });
    expect(room.said('revocation.made')).toHaveLength(before);
  });
});
