import type { Entitlements } from '../../lib/sessions/session.js';
import { closeRooms, openRoom, ownerOf, SECOND, type SessionRoom } from './session-room.js';

let room: SessionRoom;

afterEach(closeRooms);

/** The sessions of alice in the store, all of what is kept of each. */
const stored = (): Promise<unknown> => room.store.list(ownerOf('alice'));

describe('the carrier of a refresh', () => {
  beforeEach(async () => {
    room = await openRoom();
  });

  it.each([
    ['cookie', 'body'],
    ['body', 'cookie'],
  ] as const)(
    'of a session in a %s is refused as %s, and the session lives on',
    async (own, other) => {
      const r1 = await room.start({ carrier: own, scope: 'a' });
      const r2 = await room.refresh(r1, { carrier: own });
      const before = await stored();
      // The predecessor too: in its window it would be answered with the current token.
      for (const pair of [r2, r1]) {
        expect(await room.refreshed(pair, { carrier: other })).toBe('ERR_SESSION_UNKNOWN');
      }
      expect(await stored()).toEqual(before);
      expect(room.said('refresh.reused')).toEqual([]);
      const refused = { code: 'ERR_SESSION_UNKNOWN', sessionId: undefined };
      const told = room
        .said('refresh.rejected')
        .map(({ code, sessionId }) => ({ code, sessionId }));
      expect(told).toEqual([refused, refused]);
      expect(await room.verdict(r2)).toBe('accepted');
      expect(await room.refresh(r2, { carrier: own })).toMatchObject({ carrier: own, scope: 'a' });
    },
  );

  it('need not be said', async () => {
    for (const carrier of ['cookie', 'body'] as const) {
      const pair = await room.start({ carrier });
      expect(await room.refresh(pair)).toMatchObject({ carrier });
    }
  });

  it('is none that there is not', async () => {
    const pair = await room.start();
    expect(await room.refreshed(pair, { carrier: 'header' as 'body' })).toBe('ERR_SESSION_UNKNOWN');
    expect(await room.refreshed(pair)).toBe('accepted');
  });

  it('saves no token from its verdict that was used before', async () => {
    const r1 = await room.start({ carrier: 'cookie' });
    const r3 = await room.refresh(await room.refresh(r1));
    expect(await room.refreshed(r1, { carrier: 'body' })).toBe('ERR_SESSION_REUSED');
    expect(await room.refreshed(r3)).toBe('ERR_SESSION_ENDED');
  });
});

describe('an access token that no cookie can carry', () => {
  let granted: Entitlements;

  /** Base64url of a claim is a third longer: too much for a cookie, not for a session or a token. */
  const large = { claims: { note: 'n'.repeat(2_800) } };
  const small = { claims: { note: 'n' } };

  beforeEach(async () => {
    granted = small;
    room = await openRoom({ sessions: { entitlements: () => granted } });
  });

  it('is found out before the session is stored, or another makes room for it', async () => {
    room = await openRoom({ sessions: { perSubject: 1 } });
    const first = await room.start();
    const create = jest.spyOn(room.store, 'create');
    const refused = room.start({ ...large, carrier: 'cookie' });
    await expect(refused).rejects.toMatchObject({ code: 'ERR_CLAIM_TOO_LARGE' });
    expect(create).not.toHaveBeenCalled();
    expect(room.said('session.started')).toHaveLength(1);
    expect(room.said('token.issued')).toHaveLength(1);
    expect(await room.refreshed(first)).toBe('accepted');
  });

  it('is found out before a refresh uses anything up, when entitlements grew', async () => {
    const pair = await room.start({ ...small, carrier: 'cookie' });
    granted = large;
    const before = await stored();
    const rotate = jest.spyOn(room.store, 'rotate');
    for (let tries = 0; tries < 3; tries++) {
      expect(await room.refreshed(pair)).toBe('ERR_CLAIM_TOO_LARGE');
    }
    expect(rotate).not.toHaveBeenCalled();
    expect(await stored()).toEqual(before);
    expect(await room.verdict(pair)).toBe('accepted');
    expect(room.said('token.issued')).toHaveLength(1);
    room.clock.advance(60 * SECOND);
    granted = small;
    const next = await room.refresh(pair);
    expect(next.csrfToken).toBe(pair.csrfToken);
    expect(await room.verdict(next)).toBe('accepted');
  });

  it('can travel in a body', async () => {
    const pair = await room.start({ ...large, carrier: 'body' });
    granted = large;
    const next = await room.refresh(pair);
    for (const each of [pair, next]) {
      expect(each.accessToken.length).toBeGreaterThan(4_096);
      expect(await room.verdict(each)).toBe('accepted');
    }
  });
});
