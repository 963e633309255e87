import type { SessionRefresh } from '../../lib/sessions/session.js';
import { closeRooms, openRoom, type SessionRoom } from './session-room.js';

let room: SessionRoom;
/** What the store was asked to do, in order. */
let asked: string[];

beforeEach(async () => {
  room = await openRoom();
  asked = [];
  for (const verb of ['create', 'find', 'rotate', 'end', 'endAll'] as const) {
    room.store.always('before', verb, () => asked.push(verb));
  }
});

afterEach(closeRooms);

describe('members that there are none of', () => {
  it.each<[name: string, start: object]>([
    ['bindings', { bindings: { kind: 'dpop', value: `${'O'.repeat(42)}A` } }],
    ['Carrier', { Carrier: 'cookie' }],
    ['idlefor', { idlefor: '5m' }],
    ['absoluteTtl', { absoluteTtl: '5m' }],
    ['scopes', { scope: 'a', scopes: 'b' }],
    ['client_id', { client_id: 'app' }],
    ['auth_time', { auth_time: 0 }],
    ['claim', { claim: undefined }],
    ['__proto__', JSON.parse('{"__proto__":{"scope":"a"}}') as object],
    ['constructor', { constructor: 'a' }],
  ])('start no session: %s', async (name, start) => {
    const refused = room.start(start);
    await expect(refused).rejects.toThrow(TypeError);
    await expect(refused).rejects.toThrow(`There is no ${name} of a session.`);
    expect(asked).toEqual([]);
    expect(room.said('token.issued')).toEqual([]);
  });

  it.each<[name: string, refresh: object]>([
    ['bindings', { bindings: { kind: 'dpop', value: `${'O'.repeat(42)}A` } }],
    ['Carrier', { Carrier: 'cookie' }],
    ['scopes', { scopes: 'a' }],
    ['clientID', { clientID: 'app' }],
    ['claims', { claims: { tenant: 't' } }],
    ['roles', { roles: ['admin'] }],
    ['idleFor', { idleFor: '1m' }],
    ['device_label', { device_label: undefined }],
    ['__proto__', JSON.parse('{"__proto__":{"scope":"a"}}') as object],
  ])('refresh none, and use nothing up: %s', async (name, refresh) => {
    const pair = await room.start({ scope: 'a b' });
    asked.length = 0;
    const refused = room.refresh(pair, refresh);
    await expect(refused).rejects.toThrow(TypeError);
    await expect(refused).rejects.toThrow(`There is no ${name} of a session.`);
    expect(asked).toEqual([]);
    expect(room.said('session.refreshed')).toEqual([]);
    expect(await room.refresh(pair)).toMatchObject({ scope: 'a b' });
  });

  it('are told before what is wrong with the token', async () => {
    const refused = room.sessions.refresh('none', { scopes: 'a' } as SessionRefresh);
    await expect(refused).rejects.toThrow(TypeError);
    expect(room.said('refresh.rejected')).toEqual([]);
  });

  it('are none of those that there are, also where they are undefined', async () => {
    const pair = await room.start({ device: undefined, address: undefined });
    expect(await room.refreshed(pair, { device: undefined, address: undefined })).toBe('accepted');
  });
});
