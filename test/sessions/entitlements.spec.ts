import type { EntitlementsOf } from '../../lib/sessions/entitlements.js';
import type { Entitlements, SessionReference, TokenPair } from '../../lib/sessions/session.js';
import { AWAY, closeRooms, HOUR, openRoom, type SessionRoom } from './session-room.js';

let room: SessionRoom;
let answer: EntitlementsOf;
const asked: SessionReference[] = [];

async function open(): Promise<void> {
  room = await openRoom({
    sessions: {
      entitlements: (session) => {
        asked.push(session);
        return answer(session);
      },
    },
  });
}

const claimsOf = async ({ accessToken }: TokenPair) =>
  (await room.tokens.verify(accessToken)).claims;

beforeEach(() => {
  asked.length = 0;
});

afterEach(() => {
  jest.useRealTimers();
  closeRooms();
});

describe('the scope of a session', () => {
  beforeEach(async () => {
    room = await openRoom();
  });

  it('can be narrowed for one token, and is all there again for the next', async () => {
    let pair = await room.start({ scope: 'a b c' });
    for (const [asked, granted] of [
      [['b'], 'b'],
      [undefined, 'a b c'],
      ['c a', 'a c'],
      ['', ''],
      [[], ''],
      [['a', 'a', 'a'], 'a'],
      [undefined, 'a b c'],
    ] as const) {
      pair = await room.refresh(pair, asked === undefined ? {} : { scope: asked });
      expect(pair.scope).toBe(granted);
      expect((await claimsOf(pair)).scope).toBe(granted);
    }
  });

  it.each<[scope: string | readonly string[]]>([
    ['a b d'],
    ['d'],
    [['a', 'd']],
    [['a b']],
    ['a  b'],
    [' a'],
    ['A'],
    ['*'],
    [['']],
    [Array.from({ length: 10_000 }, (_, index) => `s${index}`)],
  ])('never grows: %j is refused, and nothing is used up', async (scope) => {
    const pair = await room.start({ scope: 'a b c' });
    expect(await room.refreshed(pair, { scope })).toBe('ERR_SESSION_SCOPE');
    expect((await room.refresh(pair)).scope).toBe('a b c');
  });

  it('is none where none was granted', async () => {
    const pair = await room.start();
    expect(await room.refreshed(pair, { scope: 'a' })).toBe('ERR_SESSION_SCOPE');
    const next = await room.refresh(pair);
    expect(next.scope).toBe('');
    expect('scope' in (await claimsOf(next))).toBe(false);
  });

  it('takes the same scope many times for once', async () => {
    const pair = await room.start({ scope: 'a b' });
    const next = await room.refresh(pair, { scope: Array<string>(50_000).fill('a') });
    expect(next.scope).toBe('a');
  });
});

describe('entitlements that are asked for', () => {
  beforeEach(open);

  it('say what the next token says, and how the user authenticated stays', async () => {
    const pair = await room.start({
      scope: 'a b',
      roles: ['admin', 'user'],
      permissions: ['write'],
      claims: { tenant: 't1', plan: 'old' },
      amr: ['pwd', 'otp'],
      acr: 'high',
      clientId: 'app',
    });
    const first = await claimsOf(pair);
    room.clock.advance(HOUR);
    answer = () => ({ scope: ['b', 'a'], roles: ['user'], claims: { tenant: 't2' } });
    const next = await claimsOf(await room.refresh(pair, { clientId: 'app' }));
    const { acr, amr, auth_time, client_id, sid, sub } = first;
    expect(next).toMatchObject({ acr, amr, auth_time, client_id, sid, sub });
    expect(next).toMatchObject({ scope: 'b a', roles: ['user'], tenant: 't2' });
    for (const gone of ['permissions', 'plan']) expect(gone in next).toBe(false);
    expect(asked).toEqual([{ subject: 'alice', sessionId: pair.sessionId, clientId: 'app' }]);
  });

  it('add no scope that the session did not start with, nor does a request then', async () => {
    const pair = await room.start({ scope: 'a b' });
    answer = () => ({ scope: 'a b admin' });
    const next = await room.refresh(pair);
    expect(next.scope).toBe('a b');
    expect(await room.refreshed(next, { scope: 'admin' })).toBe('ERR_SESSION_SCOPE');
  });

  it('can be less for a while, and are never more than at the start', async () => {
    let pair = await room.start({ scope: 'a b' });
    for (const [scope, granted] of [
      ['b', 'b'],
      [undefined, ''],
      ['a b c', 'a b'],
    ] as const) {
      answer = () => (scope === undefined ? {} : { scope });
      pair = await room.refresh(pair);
      expect(pair.scope).toBe(granted);
    }
  });

  it('that are null end the session and its tokens', async () => {
    const pair = await room.start();
    answer = async () => null;
    expect(await room.refreshed(pair)).toBe('ERR_SESSION_SUBJECT');
    expect(await room.verdict(pair)).toBe('ERR_TOKEN_REVOKED');
    answer = () => ({});
    expect(await room.refreshed(pair)).toBe('ERR_SESSION_UNKNOWN');
    const { sessionId } = pair;
    expect(room.said('refresh.rejected')).toMatchObject([
      { sessionId, code: 'ERR_SESSION_SUBJECT' },
      { code: 'ERR_SESSION_UNKNOWN' },
    ]);
  });

  it.each<[what: string, given: () => unknown]>([
    ['throw', () => fail()],
    ['reject', () => Promise.reject(AWAY)],
    ['are forgotten', () => undefined],
    ['are false', () => false],
    ['are true', () => true],
    ['are a text', () => 'a b'],
    ['are a list', () => ['a', 'b']],
    ['are a function', () => () => ({ scope: 'a' })],
  ])('and %s are an outage: nothing is used up', async (_what, given) => {
    const pair = await room.start({ scope: 'a b' });
    answer = given as EntitlementsOf;
    expect(await room.refreshed(pair)).toBe('ERR_SUBJECT_UNAVAILABLE');
    expect(await room.verdict(pair)).toBe('accepted');
    room.clock.advance(HOUR);
    answer = () => ({ scope: 'a b' });
    expect((await room.refresh(pair)).scope).toBe('a b');
  });

  it('and hang are an outage after 5 s', async () => {
    const pair = await room.start();
    answer = () => new Promise(() => {});
    jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask', 'Date'] });
    const refreshed = room.refreshed(pair);
    await jest.advanceTimersByTimeAsync(5_000);
    expect(await refreshed).toBe('ERR_SUBJECT_UNAVAILABLE');
    jest.useRealTimers();
    answer = () => ({});
    expect(await room.refreshed(pair)).toBe('accepted');
  });

  it.each<[what: string, given: unknown, refusal: string]>([
    ['a reserved claim', { claims: { csrf: 'x' } }, 'ERR_CLAIM_RESERVED'],
    ['another subject', { claims: { sub: 'bob' } }, 'TypeError'],
    ['another session', { claims: { sid: 'x' } }, 'TypeError'],
    ['scope beside scope', { claims: { scope: 'admin' } }, 'TypeError'],
    ['roles beside roles', { claims: { roles: ['admin'] } }, 'TypeError'],
    ['another authentication', { claims: { auth_time: 0 } }, 'TypeError'],
    ['an era', { claims: { era: 9e15 } }, 'ERR_CLAIM_RESERVED'],
    ['a password', { claims: { password: 'hunter2' } }, 'ERR_CLAIM_SENSITIVE'],
    ['an e-mail address', { claims: { contact: 'a@example.com' } }, 'ERR_CLAIM_SENSITIVE'],
    ['roles that are no list', { roles: 'admin' }, 'ERR_CLAIM_INVALID'],
    ['more than a token holds', { claims: { x: 'x'.repeat(9_000) } }, 'ERR_CLAIM_TOO_LARGE'],
  ])('with %s are a mistake of the application: nothing is used up', async (_what, given, code) => {
    const pair = await room.start();
    answer = () => given as Entitlements;
    expect(await room.refreshed(pair)).toBe(code);
    answer = () => ({});
    expect(await room.refreshed(pair)).toBe('accepted');
    await expect(room.start(given as Entitlements)).rejects.toMatchObject(
      code === 'TypeError' ? { name: code } : { code },
    );
    expect(await room.sessions.list('alice')).toHaveLength(1);
  });
});

describe('what a session starts with', () => {
  beforeEach(async () => {
    room = await openRoom();
  });

  it.each([[''], ['a\u0000b'], ['x'.repeat(256)], ['x'.repeat(1_000_000)], ['a@example.com']])(
    'is refused for a subject that is none',
    async (subject) => {
      await expect(room.start({}, subject)).rejects.toMatchObject({
        code: expect.stringMatching(/^ERR_CLAIM_/) as string,
      });
      expect(await room.sessions.list(subject)).toEqual([]);
    },
  );

  it('is refused when it is more than a store takes, though a token would hold it', async () => {
    await expect(room.start({ claims: { x: 'x'.repeat(3_500) } })).rejects.toMatchObject({
      code: 'ERR_CLAIM_TOO_LARGE',
    });
    expect(await room.sessions.list('alice')).toEqual([]);
  });

  it('cannot have been authenticated in the future', async () => {
    const authTime = new Date(room.clock.now() + HOUR);
    await expect(room.start({ authTime })).rejects.toMatchObject({ code: 'ERR_CLAIM_INVALID' });
    await expect(room.start({ authTime: new Date(NaN) })).rejects.toMatchObject({
      code: 'ERR_CLAIM_INVALID',
    });
  });

  it.each(['Cookie', '', 'header', null, true])('takes no carrier %j', async (carrier) => {
    await expect(room.start({ carrier: carrier as 'body' })).rejects.toThrow(TypeError);
  });

  it('never is an old session: each start has identifiers of its own', async () => {
    const pairs = await Promise.all([room.start(), room.start()]);
    const [one, two] = pairs.map(({ sessionId, refreshToken }) => ({ sessionId, refreshToken }));
    expect(one?.sessionId).not.toBe(two?.sessionId);
    expect(one?.refreshToken).not.toBe(two?.refreshToken);
  });
});

function fail(): never {
  throw new Error('the database says that alice has no row');
}
