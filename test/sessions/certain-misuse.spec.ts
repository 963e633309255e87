import type { SessionReuse, TokenPair } from '../../lib/sessions/session.js';
import { ASKED_WITHIN } from '../../lib/sessions/session-store.js';
import { AWAY, closeRooms, DAY, openRoom, SECOND, type SessionRoom } from './session-room.js';

/** What a request for tokens says of itself, and what fails on its way, saves no thief. */
let room: SessionRoom;
let told: SessionReuse[];
let entitlements: jest.Mock;

beforeEach(async () => {
  told = [];
  entitlements = jest.fn(() => ({ scope: 'a b' }));
  const onReuse = (reuse: SessionReuse): void => void told.push(reuse);
  room = await openRoom({ sessions: { onReuse, entitlements } });
});

afterEach(closeRooms);

/** A session whose first token is of long ago; answers all its tokens. */
async function grown(): Promise<readonly [TokenPair, TokenPair, TokenPair]> {
  const first = await room.start({ scope: 'a b' });
  const second = await room.refresh(first);
  const third = await room.refresh(second);
  entitlements.mockClear();
  return [first, second, third];
}

const away = (): never => {
  throw AWAY;
};

describe('a token that cannot be good', () => {
  it.each<[what: string, trouble: () => void, scope: string]>([
    ['asks for scope that it never had', () => {}, 'admin'],
    [
      'comes while nobody says what the subject may do',
      () => entitlements.mockImplementation(away),
      'a',
    ],
    [
      'comes while no key signs',
      () => void jest.spyOn(room.keyRing, 'signingKey').mockRejectedValue(AWAY),
      'a',
    ],
  ])('ends its session and is told of, although it %s', async (_what, trouble, scope) => {
    const [first, , third] = await grown();
    trouble();
    expect(await room.refreshed(first, { scope })).toBe('ERR_SESSION_REUSED');
    expect(entitlements).not.toHaveBeenCalled();
    expect(told).toMatchObject([{ subject: 'alice', misuse: 'recent' }]);
    expect(await room.verdict(third)).toBe('ERR_TOKEN_REVOKED');
    jest.restoreAllMocks();
  });

  it('is also the predecessor, once its window is over', async () => {
    const first = await room.start({ scope: 'a b' });
    const second = await room.refresh(first);
    room.clock.advance(10 * SECOND);
    expect(await room.refreshed(first, { scope: 'admin' })).toBe('ERR_SESSION_REUSED');
    expect(await room.refreshed(second)).toBe('ERR_SESSION_ENDED');
    expect(told).toMatchObject([{ misuse: 'recent' }]);
  });

  it('in its window is no misuse, whatever it asks for', async () => {
    const first = await room.start({ scope: 'a b' });
    const second = await room.refresh(first);
    expect(await room.refreshed(first, { scope: 'admin' })).toBe('ERR_SESSION_SCOPE');
    expect(await room.refreshed(second)).toBe('accepted');
    expect(told).toEqual([]);
  });
});

describe('when the verdict on misuse is lost', () => {
  it.each(['before', 'after'] as const)(
    '%s the store has noted it, the session is over and the alarm is raised once',
    async (when) => {
      const [first, , third] = await grown();
      room.store.once(when, 'rotate', away);
      expect(await room.refreshed(first)).toBe('ERR_STORE_UNAVAILABLE');
      expect(await room.verdict(third)).toBe('ERR_TOKEN_REVOKED');
      for (const pair of [third, first, third]) {
        expect(await room.refreshed(pair)).toMatch(/^ERR_SESSION_(?:ENDED|UNKNOWN)$/);
      }
      expect(room.said('refresh.reused')).toHaveLength(1);
      expect(told).toMatchObject([{ subject: 'alice', sessionId: first.sessionId }]);
    },
  );

  it('the session ends although it cannot be revoked either: by the next use of the token', async () => {
    const [first, , third] = await grown();
    room.store.once('before', 'rotate', away);
    const revoke = jest.spyOn(room.revocations, 'revokeSession').mockRejectedValueOnce(AWAY);
    expect(await room.refreshed(first)).toBe('ERR_STORE_UNAVAILABLE');
    expect(await room.refreshed(first)).toBe('ERR_SESSION_REUSED');
    revoke.mockRestore();
    expect(await room.verdict(third)).toBe('ERR_TOKEN_REVOKED');
    expect(told).toHaveLength(1);
  });
});

describe('a request that is slow', () => {
  /** Another tab refreshes, and so much time passes, while the first one is asked what it may do. */
  async function raced(from: TokenPair, ms: number): Promise<readonly [string, TokenPair]> {
    const faster: TokenPair[] = [];
    entitlements.mockImplementationOnce(async () => {
      faster.push(await room.refresh(from));
      room.clock.advance(ms);
      return { scope: 'a b' };
    });
    const answer = await room.refreshed(from);
    const [pair] = faster;
    if (pair === undefined) throw new Error('nobody was faster');
    return [answer, pair];
  }

  it('and raced with another tab is forgiven, however long after the window it gets there', async () => {
    const first = await room.start({ scope: 'a b' });
    const [answer, faster] = await raced(first, 20 * SECOND);
    expect(answer).toBe('accepted');
    expect(await room.refreshed(faster)).toBe('accepted');
    expect(told).toEqual([]);
  });

  it('is not forgiven without a window', async () => {
    room = await openRoom({ sessions: { reuseGrace: '0s', entitlements } });
    const [answer, faster] = await raced(await room.start({ scope: 'a b' }), 0);
    expect(answer).toBe('ERR_SESSION_REUSED');
    expect(await room.refreshed(faster)).toBe('ERR_SESSION_ENDED');
  });

  it.each<[what: string, ms: number]>([
    ['longer than anybody waits for it', ASKED_WITHIN + 1],
    ['until before it began, by a clock that was set back', -1],
  ])('%s is an outage, by which nothing is used up', async (_what, ms) => {
    const first = await room.start({ scope: 'a b' });
    entitlements.mockImplementationOnce(() => {
      room.clock.advance(ms);
      return { scope: 'a b' };
    });
    expect(await room.refreshed(first)).toBe('ERR_STORE_UNAVAILABLE');
    expect(await room.refreshed(first)).toBe('accepted');
    expect(told).toEqual([]);
  });
});

describe('the sessions of one subject', () => {
  it('are as many as configured: the oldest ends with its access tokens, whatever was used last', async () => {
    room = await openRoom({ sessions: { perSubject: 2 } });
    const one = await room.start();
    const other = await room.start({}, 'bob');
    room.clock.advance(SECOND);
    const two = await room.start();
    const used = await room.refresh(one);
    const three = await room.start();
    expect(room.said('session.ended').map(({ sessionId }) => sessionId)).toEqual([one.sessionId]);
    expect(await room.refreshed(used)).toBe('ERR_SESSION_UNKNOWN');
    for (const pair of [one, used]) expect(await room.verdict(pair)).toBe('ERR_TOKEN_REVOKED');
    for (const pair of [two, three, other]) expect(await room.verdict(pair)).toBe('accepted');
    expect(await room.sessions.list('alice')).toHaveLength(2);
    expect(room.said('refresh.reused')).toEqual([]);
  });

  it('are a hundred where nothing is configured, however many begin', async () => {
    for (let n = 0; n < 130; n++) await room.start();
    expect(await room.sessions.list('alice')).toHaveLength(100);
    await room.sessions.endAll('alice');
    expect(await room.sessions.list('alice')).toEqual([]);
  });

  it('leave no session behind whose start could not revoke the one before', async () => {
    room = await openRoom({ sessions: { perSubject: 1 } });
    await room.start();
    const revoke = jest.spyOn(room.revocations, 'revokeSession').mockRejectedValueOnce(AWAY);
    await expect(room.start()).rejects.toBe(AWAY);
    revoke.mockRestore();
    expect(await room.sessions.list('alice')).toEqual([]);
    expect(await room.refreshed(await room.start())).toBe('accepted');
  });
});

it('an alarm is not raised again when all but the token has been forgotten', async () => {
  const [first, , third] = await grown();
  await room.refreshed(first);
  room.clock.advance(2 * DAY);
  expect(await room.refreshed(third)).toBe('ERR_SESSION_UNKNOWN');
  expect(told).toHaveLength(1);
});
