import { StoreError } from '../../lib/kernel/errors.js';
import {
  atOnce,
  closeRooms,
  DAY,
  HOUR,
  openRoom,
  ownerOf,
  SECOND,
  type SessionRoom,
} from './session-room.js';

let room: SessionRoom;

beforeEach(async () => {
  room = await openRoom();
});

afterEach(closeRooms);

describe('S007 absolute lifetime caps sliding lifetime', () => {
  it('refresh every hour to the absolute end: the last tokens expire there, never later', async () => {
    room = await openRoom({ sessions: { absoluteFor: '3d', idleFor: '2d' } });
    const end = room.clock.now() + 3 * DAY;
    let pair = await room.start();
    for (let hours = 0; hours < 71; hours++) {
      room.clock.advance(HOUR);
      pair = await room.refresh(pair);
      expect(room.clock.now() + pair.refreshExpiresIn * SECOND).toBeLessThanOrEqual(end);
    }
    room.clock.advance(HOUR - 3.5 * SECOND);
    pair = await room.refresh(pair);
    expect(pair).toMatchObject({ refreshExpiresIn: 3, expiresIn: 3 });
    const { expiresAt } = await room.tokens.verify(pair.accessToken);
    // It was issued half a second into its second.
    expect(expiresAt * SECOND).toBe(end - SECOND);
    room.clock.advance(2 * SECOND);
    expect(await room.refreshed(pair)).toBe('accepted');
    room.clock.advance(1.5 * SECOND);
    expect(await room.refreshed(pair)).toBe('ERR_SESSION_UNKNOWN');
    expect(await room.sessions.list('alice')).toEqual([]);
    expect(room.said('refresh.reused')).toEqual([]);
  });

  it('gives no token for what is left of the last second', async () => {
    const pair = await room.start({ absoluteFor: '1m' });
    room.clock.advance(59.5 * SECOND);
    expect(await room.refreshed(pair)).toBe('ERR_SESSION_UNKNOWN');
  });

  it('also of the first access token', async () => {
    const pair = await room.start({ absoluteFor: '30s' });
    expect(pair).toMatchObject({ expiresIn: 30, refreshExpiresIn: 30 });
  });
});

describe('the idle lifetime', () => {
  it('ends a session that was not used for so long, to the millisecond', async () => {
    const pairs = await atOnce(2, () => room.start());
    const [one, two] = pairs as [(typeof pairs)[0], (typeof pairs)[0]];
    expect(one.refreshExpiresIn).toBe((14 * DAY) / SECOND);
    room.clock.advance(14 * DAY - 1);
    const next = await room.refresh(one);
    room.clock.advance(1);
    expect(await room.refreshed(two)).toBe('ERR_SESSION_UNKNOWN');
    room.clock.advance(14 * DAY - 2);
    expect(await room.refreshed(next)).toBe('accepted');
  });

  it('is not prolonged by a repetition, and says what is left', async () => {
    const r1 = await room.start({ idleFor: '1m' });
    const r2 = await room.refresh(r1);
    expect(r2.refreshExpiresIn).toBe(60);
    room.clock.advance(9 * SECOND);
    const repeated = await room.refresh(r1);
    expect(repeated).toMatchObject({ refreshToken: r2.refreshToken, refreshExpiresIn: 51 });
    room.clock.advance(51 * SECOND);
    expect(await room.refreshed(r2)).toBe('ERR_SESSION_UNKNOWN');
  });

  it('takes nothing for misuse that comes after it', async () => {
    const r1 = await room.start();
    const r2 = await room.refresh(r1);
    room.clock.advance(14 * DAY);
    for (const pair of [r1, r2]) expect(await room.refreshed(pair)).toBe('ERR_SESSION_UNKNOWN');
    expect(room.said('refresh.reused')).toEqual([]);
  });
});

describe('an access token', () => {
  it.each(['session', 'service'] as const)(
    'lives no longer than its session does unused, by the word of the %s',
    async (whose) => {
      const lengths = { idleFor: '1m', absoluteFor: '1h' } as const;
      room = await openRoom(whose === 'service' ? { sessions: lengths } : {});
      const r1 = await room.start(whose === 'session' ? lengths : {});
      room.clock.advance(59 * SECOND);
      const r2 = await room.refresh(r1);
      for (const pair of [r1, r2]) expect(pair.expiresIn).toBe(60);
      const { claims } = await room.tokens.verify(r2.accessToken);
      expect(claims.exp).toBe(room.clock.seconds() + 60);
    },
  );

  it('lives its own time where its session lasts longer', async () => {
    const r1 = await room.start({ idleFor: '16m' });
    const r2 = await room.refresh(r1);
    for (const pair of [r1, r2]) expect(pair.expiresIn).toBe(900);
  });
});

describe('a start that takes long', () => {
  it.each(['before', 'after'] as const)(
    'is none, and leaves no session: more than a minute, %s it is stored',
    async (when) => {
      room.store.once(when, 'create', () => room.clock.advance(60 * SECOND + 1));
      const refused = room.start();
      await expect(refused).rejects.toThrow(StoreError);
      await expect(refused).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' });
      expect(await room.store.list(ownerOf('alice'))).toEqual([]);
      for (const type of ['session.started', 'token.issued'] as const) {
        expect(room.said(type)).toEqual([]);
      }
    },
  );

  it('is one up to a minute, and can be repeated when it was not', async () => {
    room.store.once('after', 'create', () => room.clock.advance(60 * SECOND));
    expect(await room.verdict(await room.start())).toBe('accepted');
    room.store.once('after', 'create', () => room.clock.advance(61 * SECOND));
    await expect(room.start()).rejects.toThrow(StoreError);
    const pair = await room.start();
    expect(await room.refreshed(pair)).toBe('accepted');
    expect(await room.sessions.list('alice')).toHaveLength(2);
  });
});

describe('lifetimes of one session', () => {
  it('are its own, and last over refreshes', async () => {
    const short = await room.start({ idleFor: '1h', absoluteFor: '90m' });
    const long = await room.start();
    room.clock.advance(HOUR - 1);
    const next = await room.refresh(short);
    expect(next.refreshExpiresIn).toBe(1_800);
    room.clock.advance(HOUR / 2 + 1);
    expect(await room.refreshed(next)).toBe('ERR_SESSION_UNKNOWN');
    expect(await room.refreshed(long)).toBe('accepted');
  });

  it.each([
    [{ idleFor: '15d' }],
    [{ absoluteFor: '91d' }],
    [{ idleFor: '999ms' }],
    [{ absoluteFor: '0s' }],
    [{ idleFor: '1y' }],
    [{ absoluteFor: '' }],
    [{ idleFor: '-1s' }],
  ])('are refused when they are longer than configured, or none: %j', async (lifetimes) => {
    await expect(room.start(lifetimes as object)).rejects.toThrow(TypeError);
    expect(await room.sessions.list('alice')).toEqual([]);
  });
});

describe('a clock that is set back', () => {
  it('neither ends a session nor makes it last longer than from then', async () => {
    const pair = await room.start({ absoluteFor: '1h', idleFor: '1h' });
    room.clock.advance(-30 * 60 * SECOND);
    const next = await room.refresh(pair);
    const { claims } = await room.tokens.verify(next.accessToken);
    expect(claims.auth_time).toBe(claims.iat);
    room.clock.advance(90 * 60 * SECOND);
    expect(await room.refreshed(next)).toBe('ERR_SESSION_UNKNOWN');
  });
});
