import { readRefreshToken, writeRefreshToken } from '../../lib/sessions/refresh-token.js';
import type { SessionReuse, TokenPair } from '../../lib/sessions/session.js';
import { eventually } from '../support/redis-server.js';
import { atOnce, closeRooms, HOUR, openRoom, type SessionRoom, tally } from './session-room.js';

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
