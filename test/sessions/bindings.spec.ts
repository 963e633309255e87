import { hash } from 'node:crypto';

import { bindingDigest } from '../../lib/sessions/session-input.js';
import type { SessionRefresh } from '../../lib/sessions/session.js';
import { memoryStorage } from '../../lib/storage/memory/memory-storage.js';
import { newPrivateJwk } from '../support/token-mother.js';
import { AWAY, closeRooms, openRoom, type SessionRoom } from './session-room.js';

type Proven = NonNullable<SessionRefresh['binding']>;

const thumbprintOf = (whose: string): string => hash('sha256', whose, 'base64url');

const KEY: Proven = { kind: 'dpop', value: thumbprintOf('the owner') };

let room: SessionRoom;

beforeEach(async () => {
  room = await openRoom();
});

afterEach(closeRooms);

describe('S012 bound refresh token', () => {
  it('goes on for who proves the same again, also inside the window', async () => {
    const r1 = await room.start({ binding: KEY });
    const r2 = await room.refresh(r1, { binding: { ...KEY } });
    const repeated = await room.refresh(r1, { binding: KEY });
    expect(repeated.refreshToken).toBe(r2.refreshToken);
    expect(await room.refreshed(r2, { binding: KEY })).toBe('accepted');
  });

  it.each<[what: string, began: Proven, sent: Proven | undefined]>([
    ['with another DPoP key', KEY, { ...KEY, value: thumbprintOf('the thief') }],
    ['without proof', KEY, undefined],
    ['with the same value of another kind', KEY, { ...KEY, kind: 'mtls' }],
    ['ending mTLS at renewal', { ...KEY, kind: 'mtls' }, undefined],
  ])('%s ends the session, in whatever state its token is', async (_what, began, sent) => {
    const own = { binding: began };
    const other = sent === undefined ? {} : { binding: sent };
    for (const state of ['current', 'predecessor'] as const) {
      const r1 = await room.start(own);
      const r2 = await room.refresh(r1, own);
      expect(await room.refreshed(state === 'current' ? r2 : r1, other)).toBe('ERR_SESSION_REUSED');
      expect(await room.refreshed(r2, own)).toBe('ERR_SESSION_ENDED');
      expect(await room.verdict(r2)).toBe('ERR_TOKEN_REVOKED');
    }
    expect(room.said('refresh.reused').map(({ misuse }) => misuse)).toEqual(['binding', 'binding']);
  });

  it('starting DPoP at renewal gets nothing, and harms nothing', async () => {
    const r1 = await room.start();
    const r2 = await room.refresh(r1);
    for (const pair of [r1, r2]) {
      expect(await room.refreshed(pair, { binding: KEY })).toBe('ERR_SESSION_SENDER');
    }
    expect(room.said('refresh.reused')).toEqual([]);
    expect(await room.refreshed(r2)).toBe('accepted');
  });

  it('gives no token to who took the binding away in the store', async () => {
    const pair = await room.start({ binding: KEY });
    const rotate = room.store.rotate.bind(room.store);
    jest.spyOn(room.store, 'rotate').mockImplementation((request) => {
      const { binding: _, ...presented } = request.presented;
      const stripped = bindingDigest(KEY);
      return rotate({ ...request, presented: { ...presented, binding: stripped } });
    });
    expect(await room.refreshed(pair)).toBe('ERR_SESSION_SENDER');
    expect(await room.verdict(pair)).toBe('ERR_TOKEN_REVOKED');
  });

  it('is refused as input, and not as a mistake, where tokens travel in cookies', async () => {
    await expect(room.start({ binding: KEY, carrier: 'cookie' })).rejects.toMatchObject({
      code: 'ERR_PROOF_FORMAT',
    });
  });

  it('goes on without a certificate that was not asked for', async () => {
    const pair = await room.start();
    const next = await room.refresh(pair, { binding: { ...KEY, kind: 'mtls' } });
    const { confirmation } = await room.tokens.verify(next.accessToken);
    expect(confirmation).toBeUndefined();
  });

  it.each(['dpop', 'mtls'] as const)(
    'is left alone where nobody checks %s any more',
    async (kind) => {
      const storage = memoryStorage({ clock: room.clock });
      const keys = { signingKey: await newPrivateJwk() };
      const [before, after] = [
        await openRoom({ storage, keys }, room.clock),
        await openRoom({ storage, keys, binding: {} }, room.clock),
      ];
      const binding = { ...KEY, kind };
      const pair = await before.start({ binding });
      expect(await after.refreshed(pair, { binding })).toBe('ERR_SESSION_SENDER');
      expect(await after.refreshed(pair)).toBe('ERR_SESSION_SENDER');
      expect(after.said('refresh.reused')).toEqual([]);
      expect(await before.refreshed(pair, { binding })).toBe('accepted');
      await expect(after.start({ binding })).rejects.toThrow(TypeError);
    },
  );

  it('uses its proof up only when there is nothing left to refuse', async () => {
    const used: string[] = [];
    const binding = { ...KEY, use: async () => void used.push('proof') };
    const pair = await room.start({ binding });
    expect(used).toHaveLength(1);
    const unknown = { ...pair, refreshToken: `${pair.refreshToken.slice(0, -4)}AAAA` };
    await room.refreshed(unknown, { binding });
    await room.refreshed(pair, { binding, scope: 'more' });
    expect(used).toHaveLength(1);
    const failing = { ...KEY, use: () => Promise.reject(AWAY) };
    expect(await room.refreshed(pair, { binding: failing })).toBe('ERR_STORE_UNAVAILABLE');
    expect(await room.refreshed(pair, { binding })).toBe('accepted');
    expect(used).toHaveLength(2);
  });

  it.each<[what: string, binding: unknown]>([
    ['an empty value', { kind: 'dpop', value: '' }],
    ['a value that only begins as one', { kind: 'dpop', value: `${KEY.value}2` }],
    ['another spelling of a value', { kind: 'mtls', value: `${'A'.repeat(42)}B` }],
    ['a value that is no text', { kind: 'dpop', value: 7 }],
    ['a list', { kind: 'dpop', value: ['x'] }],
    ['no kind', { value: 'x' }],
    ['a kind that there is not', { kind: 'none', value: 'x' }],
    ['nothing at all', null],
  ])('with %s is a mistake of the application: nothing is used up', async (_what, binding) => {
    const wrong = { binding: binding as Proven };
    const pair = await room.start({ binding: KEY });
    await expect(room.start(wrong)).rejects.toThrow(TypeError);
    await expect(room.refresh(pair, wrong)).rejects.toThrow(TypeError);
    expect(await room.refreshed(pair, { binding: KEY })).toBe('accepted');
  });
});

describe('the refresh token of one client', () => {
  it.each<[what: string, own: string | undefined, other: string | undefined]>([
    ['another client', 'app', 'other-app'],
    ['no client', 'app', undefined],
    ['a client, where the session has none', undefined, 'app'],
    ['a client whose name only begins the same', 'app', 'app2'],
    ['a huge name', 'app', 'a'.repeat(100_000)],
  ])('is unknown, and unharmed, when it comes from %s', async (_what, own, other) => {
    const ours = own === undefined ? {} : { clientId: own };
    const theirs = other === undefined ? {} : { clientId: other };
    const r1 = await room.start(ours);
    const r2 = await room.refresh(r1, ours);
    for (const pair of [r1, r2]) {
      expect(await room.refreshed(pair, theirs)).toBe('ERR_SESSION_UNKNOWN');
      expect(await room.sessions.revoke(pair.refreshToken, other)).toBe(false);
    }
    expect(room.said('refresh.reused')).toEqual([]);
    expect(await room.refreshed(r2, ours)).toBe('accepted');
  });

  it('is that of tokens.clientId where none is named', async () => {
    room = await openRoom({ tokens: { clientId: 'web' } });
    const pair = await room.start();
    const { claims } = await room.tokens.verify(pair.accessToken);
    expect(claims.client_id).toBe('web');
    const next = await room.refresh(pair, { clientId: 'web' });
    expect(await room.refreshed(next)).toBe('accepted');
  });

  it('ends its session when it is revoked by that client, current or not (RFC 7009 §2.1)', async () => {
    for (const which of ['current', 'former'] as const) {
      const r1 = await room.start({ clientId: 'app' });
      const r2 = await room.refresh(r1, { clientId: 'app' });
      const shown = which === 'current' ? r2 : r1;
      expect(await room.sessions.revoke(shown.refreshToken, 'app')).toBe(true);
      expect(await room.verdict(r2)).toBe('ERR_TOKEN_REVOKED');
      expect(await room.refreshed(r2, { clientId: 'app' })).toBe('ERR_SESSION_UNKNOWN');
      expect(await room.sessions.revoke(shown.refreshToken, 'app')).toBe(false);
    }
  });

  it.each(['', 'rt1_', 'x'.repeat(111)])('is not %j', async (text) => {
    expect(await room.sessions.revoke(text, undefined)).toBe(false);
  });
});
