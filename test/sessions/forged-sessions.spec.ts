import { randomBytes } from 'node:crypto';

import {
  newRefreshToken,
  presented,
  type RefreshToken,
  writeRefreshToken,
} from '../../lib/sessions/refresh-token.js';
import { sealData } from '../../lib/sessions/session-grant.js';
import { SessionSeals } from '../../lib/sessions/session-seals.js';
import { verdictOf } from '../revocation/instances.js';
import { ISSUER } from '../support/guarded-app.js';
import { recordSecret } from '../support/witness.js';
import { closeRooms, DAY, openRoom, ownerOf, type SessionRoom } from './session-room.js';

/** Who can write the store, reads all of it, and has none of the secrets of the service. */

afterEach(closeRooms);

/** All that the service itself would keep of a session of the administrator. */
function forge(seals: SessionSeals, token: RefreshToken, era: number): Data {
  const unsaid = { device: undefined, addressPrefix: undefined, binding: undefined };
  const claims = { sub: 'admin', sid: token.key.id, auth_time: 0, roles: ['admin'] };
  const grant = { claims, standing: { era }, carrier: 'body' } as const;
  return read(sealData(seals, token, { label: { ...unsaid, carrier: 'body' }, grant }));
}

/** Writes a session into the store, and asks for its tokens. */
async function plant(room: SessionRoom, token: RefreshToken, data: Data): Promise<string> {
  const { key, lineage, secret, binding } = presented(token, undefined, null);
  const limits = { idleFor: DAY, absoluteFor: DAY, atMost: 100 };
  const written = { key, lineage, secret, binding, data: JSON.stringify(data), ...limits };
  expect(await room.store.create(written)).toEqual([]);
  const text = writeRefreshToken(token);
  recordSecret(text);
  return verdictOf(room.sessions.refresh(text));
}

/** What can be read of a real session: what its tokens say of its era, and how its seal is called. */
async function lookAround(
  room: SessionRoom,
): Promise<{ readonly era: number; readonly name: string }> {
  const { accessToken } = await room.start({}, 'admin');
  const { claims } = await room.tokens.verify(accessToken);
  const [record] = await room.store.list(ownerOf('admin'));
  const [name = ''] = read(record?.data ?? '').grant.split('.');
  return { era: claims.era ?? 0, name };
}

describe('a session that somebody wrote into the store', () => {
  it('is as good as any where sessions are sealed under no secret', async () => {
    const room = await openRoom();
    const { era } = await lookAround(room);
    const token = newRefreshToken(ISSUER, 'admin');
    // So that what is refused below is refused for nothing but its seal.
    const data = forge(new SessionSeals([null]), token, era);
    expect(await plant(room, token, data)).toBe('accepted');
  });

  it.each<[what: string, salt: Buffer | null]>([
    ['no secret', null],
    ['a secret of their own', randomBytes(32)],
  ])('gets nobody a token when it is sealed under %s, however that is called', async (_, salt) => {
    const encryptionKeys = randomBytes(32).toString('base64url');
    recordSecret(encryptionKeys);
    const room = await openRoom({ keys: { encryptionKeys } });
    const { era, name } = await lookAround(room);
    expect(name).not.toBe('0');
    const issued = room.said('token.issued');
    const seals = new SessionSeals([salt]);
    for (const called of [undefined, name, '0', '']) {
      const token = newRefreshToken(ISSUER, 'admin');
      const data = forge(seals, token, era);
      const [own = '', body = ''] = data.grant.split('.');
      const grant = `${called ?? own}.${body}`;
      expect(await plant(room, token, { ...data, grant })).toBe('ERR_SESSION_UNKNOWN');
    }
    expect(room.said('token.issued')).toEqual(issued);
    expect(room.said('session.refreshed')).toEqual([]);
  });
});

interface Data {
  readonly grant: string;
}

function read(data: string): Data {
  return JSON.parse(data) as Data;
}
