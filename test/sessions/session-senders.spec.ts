import { randomBytes } from 'node:crypto';

import { SenderSignals } from '../../lib/binding/fingerprint/sender-signals.js';
import { memoryStorage } from '../../lib/storage/memory/memory-storage.js';
import { TestClock } from '../support/test-clock.js';
import { newPrivateJwk } from '../support/token-mother.js';
import { closeRooms, openRoom, type SessionRoom } from './session-room.js';

/** Who a session belongs to, before and after the configuration changed, and when answers get lost. */

afterEach(closeRooms);

const OWNER = new SenderSignals({ b: 'firefox', v: '128', o: 'linux', l: 'en' });
const STRANGER = new SenderSignals({ b: 'curl', v: '8', o: 'other', l: 'fr' });

type Options = Parameters<typeof openRoom>[0];

/** Two instances of one service, of which the second has another configuration. */
async function rooms(
  before: Options,
  after: Options,
): Promise<readonly [SessionRoom, SessionRoom]> {
  const clock = new TestClock();
  const storage = memoryStorage({ clock });
  const encryptionKeys = randomBytes(32).toString('base64url');
  const keys = { signingKey: await newPrivateJwk(), encryptionKeys };
  const open = (options: Options): Promise<SessionRoom> =>
    openRoom({ storage, keys, ...options }, clock);
  return [await open(before), await open(after)];
}

describe('a session that is bound by a cookie', () => {
  it('goes on for who lost the body of an answer and kept its cookie', async () => {
    const room = await openRoom();
    const r1 = await room.start({ binding: { kind: 'cookie' } });
    const { senderCookie: first = '' } = r1;
    const { senderCookie: second = '' } = await room.refresh(r1, { senderCookie: first });
    expect(second).not.toBe(first);
    for (const senderCookie of [second, first]) {
      expect((await room.refresh(r1, { senderCookie })).senderCookie).toBe(second);
    }
  });

  it.each(['no cookie', 'a cookie of another session'])(
    'refuses %s, in the window too',
    async (what) => {
      const room = await openRoom();
      const r1 = await room.start({ binding: { kind: 'cookie' } });
      const other = await room.start({ binding: { kind: 'cookie' } });
      const wrong = what === 'no cookie' ? {} : { senderCookie: other.senderCookie ?? '' };
      const right = { senderCookie: r1.senderCookie ?? '' };
      expect(await room.refreshed(r1, wrong)).toBe('ERR_SESSION_SENDER');
      const r2 = await room.refresh(r1, right);
      expect(await room.refreshed(r1, wrong)).toBe('ERR_SESSION_SENDER');
      expect(await room.refreshed(r2, { senderCookie: r2.senderCookie ?? '' })).toBe('accepted');
      expect(room.said('refresh.reused')).toEqual([]);
    },
  );

  it('is not taken without its cookie where the store fell back to an older state', async () => {
    const room = await openRoom();
    const r1 = await room.start({ binding: { kind: 'cookie' } });
    await room.refresh(r1, { senderCookie: r1.senderCookie ?? '' });
    const rotate = room.store.rotate.bind(room.store);
    const fallen = jest.spyOn(room.store, 'rotate').mockImplementation(async (request) => {
      const verdict = await rotate(request);
      return verdict.verdict === 'repeated'
        ? { verdict: 'rotated', session: verdict.session }
        : verdict;
    });
    expect(await room.refreshed(r1)).toBe('ERR_SESSION_SENDER');
    fallen.mockRestore();
  });

  it('is none that travels in cookies', async () => {
    const room = await openRoom();
    await expect(room.start({ binding: { kind: 'cookie' }, carrier: 'cookie' })).rejects.toThrow(
      TypeError,
    );
  });
});

describe('a session with a look', () => {
  it('is for who looks the same, and refuses who shows nothing', async () => {
    const room = await openRoom({ binding: { fingerprint: {} } });
    const pair = await room.start({ fingerprint: OWNER });
    expect(await room.refreshed(pair, { fingerprint: STRANGER })).toBe('ERR_SESSION_SENDER');
    expect(await room.refreshed(pair)).toBe('ERR_SESSION_SENDER');
    expect(await room.refreshed(pair, { fingerprint: OWNER })).toBe('accepted');
  });

  it('loses it where looks are not compared any more', async () => {
    const [on, off] = await rooms({ binding: { fingerprint: {} } }, { binding: {} });
    const pair = await on.start({ fingerprint: OWNER });
    const next = await off.refresh(pair);
    // Or the guard would refuse it: nobody there could check it.
    expect(await off.verdict(next)).toBe('accepted');
    expect((await off.tokens.verify(next.accessToken)).claims['fingerprint']).toBeUndefined();
  });

  it('gets it where they are compared by now', async () => {
    const [off, on] = await rooms({ binding: {} }, { binding: { fingerprint: {} } });
    const pair = await off.start();
    const next = await on.refresh(pair, { fingerprint: OWNER });
    expect(await on.refreshed(next, { fingerprint: STRANGER })).toBe('ERR_SESSION_SENDER');
  });
});

describe('a session from before binding.required', () => {
  it('is refused at its refresh, and not by every route after that', async () => {
    const [before, after] = await rooms({ binding: {} }, { binding: { required: ['cookie'] } });
    const pair = await before.start();
    expect(await after.refreshed(pair)).toBe('ERR_SESSION_SENDER');
    expect(await before.refreshed(pair)).toBe('accepted');
    await expect(after.start()).rejects.toMatchObject({ code: 'ERR_PROOF_MISSING' });
    expect((await after.start({ binding: { kind: 'cookie' } })).senderCookie).toMatch(
      /^[\w-]{43}$/,
    );
  });
});
