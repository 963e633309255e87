import { SubjectDirectory, type SubjectStanding } from '../../lib/revocation/subject-directory.js';
import type { TokenPair } from '../../lib/sessions/session.js';
import { memoryStorage } from '../../lib/storage/memory/memory-storage.js';
import type { Storage } from '../../lib/storage/storage.js';
import { verdictOf } from '../revocation/instances.js';
import { SharedLog, TroubledLog } from '../revocation/troubled-log.js';
import {
  atOnce,
  AWAY,
  closeRooms,
  DAY,
  HOUR,
  openRoom,
  ownerOf,
  SECOND,
  type SessionRoom,
} from './session-room.js';

type End = (sessionId: string) => Promise<unknown>;

let room: SessionRoom;

beforeEach(async () => {
  room = await openRoom();
});

afterEach(closeRooms);

/** Every way in which a session of alice can be over, but for misuse. */
const WAYS: readonly (readonly [string, (room: SessionRoom) => End])[] = [
  [
    'its end',
    ({ sessions }) =>
      (sid) =>
        sessions.end(sid),
  ],
  [
    'a logout everywhere',
    ({ sessions }) =>
      () =>
        sessions.endAll('alice'),
  ],
  [
    'revokeSession',
    ({ revocations }) =>
      (sid) =>
        revocations.revokeSession(sid),
  ],
  [
    'revokeSubject',
    ({ revocations }) =>
      () =>
        revocations.revokeSubject('alice'),
  ],
  [
    'bumpTokenVersion',
    ({ revocations }) =>
      () =>
        revocations.bumpTokenVersion('alice'),
  ],
  [
    'revokeAll',
    ({ revocations }) =>
      () =>
        revocations.revokeAll(),
  ],
];

describe.each(WAYS)('%s', (way, make) => {
  let end: End;

  beforeEach(() => {
    end = make(room);
  });

  const expectDead = async (...pairs: readonly TokenPair[]): Promise<void> => {
    for (const pair of pairs) {
      expect(await room.refreshed(pair)).toMatch(/^ERR_SESSION_(?:UNKNOWN|REVOKED)$/);
      expect(await room.verdict(pair)).toMatch(/^ERR_TOKEN_(?:REVOKED|EXPIRED)$/);
    }
    expect(await room.sessions.list('alice')).toEqual([]);
    expect(room.said('refresh.reused')).toEqual([]);
  };

  it('ends a session for good, also when the revocation is long forgotten', async () => {
    const pairs = [await room.start(), await room.start()];
    for (const { sessionId } of pairs) await end(sessionId);
    room.clock.advance(13 * DAY);
    await expectDead(...pairs);
  });

  it('before a refresh reads its session refuses it', async () => {
    const pair = await room.start();
    room.store.once('before', 'find', () => end(pair.sessionId));
    expect(await room.refreshed(pair)).toMatch(/^ERR_SESSION_(?:UNKNOWN|REVOKED)$/);
    await expectDead(pair);
  });

  it('after a refresh has read its session refuses it too', async () => {
    const pair = await room.start();
    room.store.once('after', 'find', () => end(pair.sessionId));
    expect(await room.refreshed(pair)).toBe('ERR_SESSION_REVOKED');
    await expectDead(pair);
  });

  it('before the rotation leaves nobody an access token that lives', async () => {
    const pair = await room.start();
    room.store.once('before', 'rotate', () => end(pair.sessionId));
    const next = await room.refresh(pair).catch(() => pair);
    await expectDead(next);
  });

  it('after the rotation ends what it answers', async () => {
    const pair = await room.start();
    room.store.once('after', 'rotate', () => end(pair.sessionId));
    await expectDead(await room.refresh(pair));
  });

  it('of one that is being stored refuses its start, and leaves nothing of it', async () => {
    for (const when of ['before', 'after'] as const) {
      room.store.once(when, 'create', async () => {
        const [record] = await room.store.list(ownerOf('alice'));
        await end(record?.key.id ?? 'none');
      });
      // One that is not there yet cannot be named.
      const isNamed = when === 'after' || !['its end', 'revokeSession'].includes(way);
      expect(await verdictOf(room.start())).toBe(isNamed ? 'ERR_SESSION_REVOKED' : 'accepted');
      if (!isNamed) await room.sessions.endAll('alice');
      expect(await room.sessions.list('alice')).toEqual([]);
    }
  });

  it('leaves what begins afterwards alone', async () => {
    const before = await room.start();
    await end(before.sessionId);
    const after = await room.start();
    room.clock.advance(12 * HOUR);
    const next = await room.refresh(after);
    expect(await room.verdict(next)).toBe('accepted');
  });

  it('that fails in the store says so, and holds once it was asked for again', async () => {
    const pair = await room.start();
    room.store.once('before', 'end', () => Promise.reject(AWAY));
    room.store.once('before', 'endAll', () => Promise.reject(AWAY));
    const said = await verdictOf(end(pair.sessionId));
    expect(['accepted', 'ERR_STORE_UNAVAILABLE']).toContain(said);
    expect(await room.verdict(pair)).toBe('ERR_TOKEN_REVOKED');
    room.store.always('before', 'end');
    room.store.always('before', 'endAll');
    await end(pair.sessionId);
    await expectDead(pair);
  });
});

describe('a session that goes on', () => {
  it('is the one that is excepted, with its tokens, and no other', async () => {
    const [kept, lost] = [await room.start(), await room.start()];
    await room.sessions.endAll('alice', { except: kept.sessionId });
    expect(await room.verdict(kept)).toBe('accepted');
    expect(await room.verdict(lost)).toBe('ERR_TOKEN_REVOKED');
    expect(await room.refreshed(lost)).toBe('ERR_SESSION_UNKNOWN');
    const listed = (await room.sessions.list('alice')).map(({ sessionId }) => sessionId);
    expect(listed).toEqual([kept.sessionId]);
    const next = await room.refresh(kept);
    room.clock.advance(12 * DAY);
    const later = await room.refresh(next);
    expect(await room.verdict(later)).toBe('accepted');
    await room.sessions.endAll('alice');
    expect(await room.refreshed(later)).toBe('ERR_SESSION_UNKNOWN');
  });

  it('is nobody else’s: another subject’s sid spares nothing', async () => {
    const [mine, theirs] = [await room.start(), await room.start({}, 'bob')];
    await room.sessions.endAll('alice', { except: theirs.sessionId });
    expect(await room.refreshed(mine)).toBe('ERR_SESSION_UNKNOWN');
    expect(await room.refreshed(theirs)).toBe('accepted');
  });

  it.each([[undefined], [null], [''], [7], ['\u0000'], ['x'.repeat(300)]])(
    'has a name: except %j ends nothing',
    async (except) => {
      const pair = await room.start();
      const options = { except: except as string };
      await expect(room.sessions.endAll('alice', options)).rejects.toThrow(TypeError);
      expect(await room.refreshed(pair)).toBe('accepted');
    },
  );

  it('is every one, when a session is ended that there is not', async () => {
    const pair = await room.start();
    for (const sid of ['x', 'a'.repeat(43), pair.sessionId.slice(1), '__proto__']) {
      await room.sessions.end(sid);
    }
    expect(await room.refreshed(pair)).toBe('accepted');
  });
});

describe('what is revoked by an instant', () => {
  it('ends sessions that began before it, also when they refresh months later', async () => {
    const early = await room.start();
    room.clock.advance(DAY);
    const before = new Date(room.clock.now());
    const late = await room.start();
    room.clock.advance(DAY);
    // Its access tokens are young, its login is not.
    const refreshed = await room.refresh(early);
    await room.revocations.revokeAll({ before });
    expect(await room.verdict(refreshed)).toBe('accepted');
    let pair = late;
    for (let weeks = 0; weeks < 8; weeks++) {
      room.clock.advance(7 * DAY);
      pair = await room.refresh(pair);
    }
    expect(await room.refreshed(refreshed)).toBe('ERR_SESSION_UNKNOWN');
    expect(await room.verdict(pair)).toBe('accepted');
  });

  it.each(['before', 'everything'] as const)(
    'ends a session at its first refresh, 13 days later: %s',
    async (kind) => {
      const pair = await room.start();
      room.clock.advance(2 * SECOND);
      const before = new Date(room.clock.now());
      await room.revocations.revokeAll(kind === 'before' ? { before } : {});
      room.clock.advance(13 * DAY);
      expect(await room.refreshed(pair)).toBe('ERR_SESSION_REVOKED');
      expect(await room.sessions.list('alice')).toEqual([]);
      expect(await room.refreshed(pair)).toBe('ERR_SESSION_UNKNOWN');
    },
  );
});

describe('the directory of subjects', () => {
  class Users extends SubjectDirectory {
    answer: () => SubjectStanding | null = () => ({ disabled: false, version: 1 });

    async find(): Promise<SubjectStanding | null> {
      return this.answer();
    }
  }

  let users: Users;

  beforeEach(async () => {
    users = new Users();
    room = await openRoom({ subjects: users });
  });

  it.each<[what: string, standing: SubjectStanding | null]>([
    ['disabled', { disabled: true, version: 1 }],
    ['unknown', null],
    ['of a later version', { disabled: false, version: 2 }],
  ])('ends the session of a subject that is %s', async (_what, standing) => {
    const pair = await room.start();
    users.answer = () => standing;
    expect(await room.refreshed(pair)).toBe('ERR_SESSION_SUBJECT');
    users.answer = () => ({ disabled: false, version: 1 });
    expect(await room.refreshed(pair)).toBe('ERR_SESSION_UNKNOWN');
    expect(await room.verdict(pair)).toBe('ERR_TOKEN_REVOKED');
  });

  it.each<[what: string, standing: SubjectStanding | null]>([
    ['disabled', { disabled: true }],
    ['unknown', null],
  ])('starts no session for a subject that is %s', async (_what, standing) => {
    users.answer = () => standing;
    expect(await verdictOf(room.start())).toBe('ERR_SESSION_SUBJECT');
    expect(await room.sessions.list('alice')).toEqual([]);
  });

  it('goes on with what it says the version is', async () => {
    users.answer = () => ({ disabled: false, version: 5 });
    let pair = await room.start();
    for (let round = 0; round < 3; round++) {
      const { claims } = await room.tokens.verify(pair.accessToken);
      expect(claims.token_version).toBe(5);
      pair = await room.refresh(pair);
    }
  });

  it('that fails is an outage, which uses nothing up and leaves nothing behind', async () => {
    const pair = await room.start();
    users.answer = () => fail();
    expect(await room.refreshed(pair)).toBe('ERR_SUBJECT_UNAVAILABLE');
    expect(await verdictOf(room.start())).toBe('ERR_SUBJECT_UNAVAILABLE');
    users.answer = () => ({ disabled: false, version: 1 });
    room.store.once('after', 'create', () => {
      users.answer = () => fail();
    });
    expect(await verdictOf(room.start())).toBe('ERR_SUBJECT_UNAVAILABLE');
    users.answer = () => ({ disabled: false, version: 1 });
    expect(await room.sessions.list('alice')).toHaveLength(1);
    room.clock.advance(HOUR);
    expect(await room.refreshed(pair)).toBe('accepted');
  });
});

describe('what fails on the way', () => {
  it('uses nothing up when no key signs', async () => {
    const pair = await room.start();
    const signingKey = jest.spyOn(room.keyRing, 'signingKey').mockRejectedValue(AWAY);
    expect(await room.refreshed(pair)).toBe('ERR_STORE_UNAVAILABLE');
    expect(await verdictOf(room.start())).toBe('ERR_STORE_UNAVAILABLE');
    signingKey.mockRestore();
    room.clock.advance(HOUR);
    expect(await room.refreshed(pair)).toBe('accepted');
    expect(await room.sessions.list('alice')).toHaveLength(1);
  });

  it('starts no session while it cannot be known what was revoked', async () => {
    const log = new TroubledLog(new SharedLog());
    room = await roomOn(log, memoryStorage({ clock: room.clock }));
    log.reads = 'fail';
    expect(await verdictOf(room.start())).toBe('ERR_STORE_UNAVAILABLE');
    log.reads = 'answered';
    expect(await room.refreshed(await room.start())).toBe('accepted');
  });

  it('leaves no session to outlive a revocation that was not heard of while it was stored', async () => {
    const shared = new SharedLog();
    const log = new TroubledLog(shared);
    const storage = memoryStorage({ clock: room.clock });
    const other = await roomOn(new TroubledLog(shared), storage);
    room = await roomOn(log, storage);
    room.store.once('before', 'create', async () => {
      log.reads = 'fail';
      log.news = 'kept back';
      await other.revocations.revokeSubject('alice');
    });
    expect(await verdictOf(room.start())).toBe('ERR_STORE_UNAVAILABLE');
    log.reads = 'answered';
    log.news = 'told';
    expect(await room.sessions.list('alice')).toEqual([]);
  });
});

/** One of several instances that share sessions, each with its own way to the log. */
function roomOn(log: TroubledLog, storage: Storage): Promise<SessionRoom> {
  const { keyStore } = memoryStorage();
  return openRoom({ storage: { ...storage, keyStore, revocationLog: log } }, room.clock);
}

describe('starts and revocations of one subject at once', () => {
  it('leave no session that began before, and end none that begins after, 200 rounds', async () => {
    for (let round = 0; round < 200; round++) {
      const first = await room.start();
      const racing = atOnce(3, () => room.start().catch(() => undefined));
      if (round % 2) await Promise.resolve();
      await room.revocations.revokeSubject('alice');
      const later = await room.start();
      const raced = (await racing).filter((pair) => pair !== undefined);
      expect(await room.refreshed(first)).toBe('ERR_SESSION_UNKNOWN');
      expect(await room.verdict(first)).toBe('ERR_TOKEN_REVOKED');
      for (const pair of raced) {
        // Whichever side of it they came to lie on, both halves of it do.
        const halves = [await room.verdict(pair), await room.refreshed(pair)];
        expect(['accepted accepted', 'ERR_TOKEN_REVOKED ERR_SESSION_UNKNOWN']).toContain(
          halves.join(' '),
        );
      }
      expect(await room.verdict(later)).toBe('accepted');
      expect(await room.refreshed(later)).toBe('accepted');
      await room.sessions.endAll('alice');
    }
  });
});

function fail(): never {
  throw new Error('the database is away');
}
