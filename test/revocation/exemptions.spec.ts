import { setImmediate as nextTurn } from 'node:timers/promises';

import type { RevokeSubjectOptions } from '../../lib/revocation/revoked.js';
import { TestClock } from '../support/test-clock.js';
import { type Instance, Instances } from './instances.js';
import { SharedLog } from './troubled-log.js';

/** What a revocation of a subject spares, and that nothing is spared that was not meant to be. */
let instances: Instances;
let one: Instance;
let other: Instance;

beforeEach(async () => {
  instances = new Instances(new SharedLog());
  one = await instances.open();
  other = await instances.open();
});

afterEach(() => instances.close());

const REVOKED = 'ERR_TOKEN_REVOKED';

const except = (sessionId: string): RevokeSubjectOptions => ({ except: { sessionId } });

/** What both instances say; they have to agree. */
async function verdict(token: string): Promise<string> {
  const [first, second] = await Promise.all([one.verdict(token), other.verdict(token)]);
  expect(second).toBe(first);
  return first;
}

describe.each(['revokeSubject', 'bumpTokenVersion'] as const)('%s with an exemption', (verb) => {
  it('spares the tokens of one session and ends all others', async () => {
    const mine = await one.sign({ sid: 'mine' });
    const also = await other.sign({ sid: 'mine' });
    const theirs = await one.sign({ sid: 'theirs' });
    const none = await one.sign();
    await one.revocations[verb]('alice', except('mine'));
    expect(await verdict(mine)).toBe('accepted');
    expect(await verdict(also)).toBe('accepted');
    expect(await verdict(theirs)).toBe(REVOKED);
    expect(await verdict(none)).toBe(REVOKED);
  });

  it('spares one token and ends the others of its session', async () => {
    const mine = await one.sign({ sid: 'mine' });
    const sibling = await one.sign({ sid: 'mine' });
    const { tokenId } = await one.tokens.verify(mine);
    await one.revocations[verb]('alice', { except: { tokenId } });
    expect(await verdict(mine)).toBe('accepted');
    expect(await verdict(sibling)).toBe(REVOKED);
  });

  it('spares nothing of another subject whose session has the same name', async () => {
    const bobs = await one.sign({ sub: 'bob', sid: 'mine' });
    await one.revocations[verb]('alice', except('mine'));
    await one.revocations[verb]('bob');
    expect(await verdict(bobs)).toBe(REVOKED);
  });

  it('counts no longer once the subject is revoked without one', async () => {
    const mine = await one.sign({ sid: 'mine' });
    await one.revocations[verb]('alice', except('mine'));
    await other.revocations[verb]('alice');
    expect(await verdict(mine)).toBe(REVOKED);
  });

  it('counts no longer once another session is spared instead', async () => {
    const mine = await one.sign({ sid: 'mine' });
    const theirs = await one.sign({ sid: 'theirs' });
    await one.revocations[verb]('alice', except('mine'));
    await other.revocations[verb]('alice', except('theirs'));
    expect(await verdict(mine)).toBe(REVOKED);
    expect(await verdict(theirs)).toBe(REVOKED);
  });

  it('counts again and again for the same session', async () => {
    const mine = await one.sign({ sid: 'mine' });
    for (const { revocations } of [one, other, one]) {
      await revocations[verb]('alice', except('mine'));
      expect(await verdict(mine)).toBe('accepted');
    }
  });

  it('does not save what is revoked by its own name, or with everything', async () => {
    const byToken = await one.sign({ sid: 'mine' });
    const bySession = await one.sign({ sid: 'mine' });
    await one.revocations[verb]('alice', except('mine'));
    const { tokenId, expiresAt } = await one.tokens.verify(byToken);
    await one.revocations.revokeToken(tokenId, expiresAt);
    expect(await verdict(byToken)).toBe(REVOKED);
    await one.revocations.revokeSession('mine');
    expect(await verdict(bySession)).toBe(REVOKED);

    const stranger = await one.sign({ sub: 'bob', sid: 'bobs' });
    await one.revocations[verb]('bob', except('bobs'));
    await one.revocations.revokeAll();
    expect(await verdict(stranger)).toBe(REVOKED);
  });

  it('revives nothing that an earlier revocation had ended', async () => {
    // A token was stolen from a session; everything is ended; the session is refreshed; the
    // password is changed in it, which spares the session.
    const stolen = await one.sign({ sid: 'mine' });
    await one.revocations.revokeSubject('alice');
    const refreshed = await one.sign({ sid: 'mine' });
    await other.revocations[verb]('alice', except('mine'));
    expect(await verdict(stolen)).toBe(REVOKED);
    expect(await verdict(refreshed)).toBe('accepted');
    await one.revocations[verb]('alice', except('mine'));
    expect(await verdict(stolen)).toBe(REVOKED);
    expect(await verdict(refreshed)).toBe('accepted');
  });

  it('is known to an instance that starts later', async () => {
    const stolen = await one.sign({ sid: 'mine' });
    await one.revocations.bumpTokenVersion('alice');
    const mine = await one.sign({ sid: 'mine' });
    const theirs = await one.sign({ sid: 'theirs' });
    await one.revocations[verb]('alice', except('mine'));
    const late = await instances.open();
    expect(await late.verdict(mine)).toBe('accepted');
    expect(await late.verdict(theirs)).toBe(REVOKED);
    expect(await late.verdict(stolen)).toBe(REVOKED);
  });
});

describe('an exemption whose revocation was not acknowledged', () => {
  it('spares nothing from the next one', async () => {
    const mine = await one.sign({ sid: 'mine' });
    const append = one.log.append.bind(one.log);
    one.log.append = (entry) =>
      entry.data.startsWith('o') ? Promise.reject(new Error('lost')) : append(entry);
    await expect(one.revocations.revokeSubject('alice', except('mine'))).rejects.toMatchObject({
      code: 'ERR_STORE_UNAVAILABLE',
    });
    one.log.append = append;
    expect(await verdict(mine)).toBe('accepted');
    await one.revocations.revokeSubject('alice');
    expect(await verdict(mine)).toBe(REVOKED);
  });
});

describe('revocations of one subject at the same time', () => {
  const ways: ReadonlyArray<readonly [what: string, delays: readonly [number, number]]> = [
    ['neither waits', [1, 1]],
    ['the one that spares is slow', [12, 1]],
    ['the one that spares nothing is slow', [1, 12]],
    ['both are slow', [12, 12]],
  ];

  it.each(ways)(
    'on two instances end what one of them did not spare: %s',
    async (_what, delays) => {
      for (const ahead of [0, 40, -40]) {
        other.clock.set(one.clock.now() + ahead);
        const mine = await one.sign({ sid: 'mine' });
        [one.log.delay, other.log.delay] = [() => delays[0], () => delays[1]];
        await Promise.all([
          one.revocations.bumpTokenVersion('alice', except('mine')),
          other.revocations.revokeSubject('alice'),
        ]);
        expect(await verdict(mine)).toBe(REVOKED);
      }
    },
  );

  it.each(ways)('that spare different sessions end both: %s', async (_what, delays) => {
    for (const ahead of [0, 40, -40]) {
      other.clock.set(one.clock.now() + ahead);
      const mine = await one.sign({ sid: 'mine' });
      const theirs = await one.sign({ sid: 'theirs' });
      [one.log.delay, other.log.delay] = [() => delays[0], () => delays[1]];
      await Promise.all([
        one.revocations.revokeSubject('alice', except('mine')),
        other.revocations.revokeSubject('alice', except('theirs')),
      ]);
      expect(await verdict(mine)).toBe(REVOKED);
      expect(await verdict(theirs)).toBe(REVOKED);
    }
  });

  it('that spare the same session spare it', async () => {
    other.clock.advance(40);
    const mine = await one.sign({ sid: 'mine' });
    const theirs = await one.sign({ sid: 'theirs' });
    await Promise.all(
      [one, other, one, other].map(({ revocations }) =>
        revocations.revokeSubject('alice', except('mine')),
      ),
    );
    expect(await verdict(mine)).toBe('accepted');
    expect(await verdict(theirs)).toBe(REVOKED);
  });

  it('cannot be outlived by somebody who keeps sparing their own session', async () => {
    const stolen = await one.sign({ sid: 'thief' });
    const over = new AbortController();
    const thief = async (): Promise<void> => {
      while (!over.signal.aborted) {
        await one.revocations.bumpTokenVersion('alice', except('thief'));
        await nextTurn();
      }
    };
    const spamming = [thief(), thief()];
    for (let turn = 0; turn < 5; turn++) await nextTurn();
    await other.revocations.revokeSubject('alice');
    over.abort();
    await Promise.all(spamming);
    expect(await verdict(stolen)).toBe(REVOKED);
  });

  it('by many instances all come to an end', async () => {
    const all = [one, other, await instances.open(), await instances.open()];
    all.forEach(({ clock }, place) => clock.advance(place * 7));
    const mine = await one.sign({ sid: 'mine' });
    await one.revocations.revokeSubject('alice', except('mine'));
    await Promise.all(
      Array.from({ length: 40 }, async (_, turn) => {
        const { revocations } = all[turn % 4] ?? one;
        await revocations.revokeSubject('alice', turn === 20 ? except('mine') : {});
      }),
    );
    expect(await one.verdict(mine)).toBe(REVOKED);
    expect(await one.verdict(await one.sign())).toBe('accepted');
  });
});

describe('an exemption that is slow to arrive', () => {
  const aged = async (): Promise<{ readonly slow: Instance; readonly stolen: string }> => {
    const clock = new TestClock();
    const slow = await instances.open({}, clock);
    const stolen = await one.sign({ sid: 'thief' });
    clock.advance(5);
    return { slow, stolen };
  };

  it('revives nothing that was ended meanwhile', async () => {
    const { slow, stolen } = await aged();
    slow.log.delay = () => 30;
    const state = { isOver: false };
    const thiefs = slow.revocations
      .revokeSubject('alice', except('thief'))
      .finally(() => (state.isOver = true));
    for (let turn = 0; turn < 20; turn++) await nextTurn();
    await one.revocations.revokeSubject('alice');
    const seen = new Set<string>();
    while (!state.isOver) {
      seen.add(await one.verdict(stolen));
      await nextTurn();
    }
    await thiefs;
    seen.add(await one.verdict(stolen)).add(await other.verdict(stolen));
    expect([...seen]).toEqual([REVOKED]);
  });

  it('revives nothing when its instance dies half way', async () => {
    const { slow, stolen } = await aged();
    const append = slow.log.append.bind(slow.log);
    let start = (): void => {};
    const started = new Promise<void>((resolve) => (start = resolve));
    let appended = 0;
    slow.log.append = async (entry) => {
      if (appended++ === 0) await started;
      if (appended > 2) throw new Error('gone');
      return append(entry);
    };
    const thiefs = slow.revocations.revokeSubject('alice', except('thief'));
    const outcome = thiefs.catch(() => 'failed');
    for (let turn = 0; turn < 20; turn++) await nextTurn();
    await one.revocations.revokeSubject('alice');
    start();
    await outcome;
    expect(await one.verdict(stolen)).toBe(REVOKED);
    expect(await other.verdict(stolen)).toBe(REVOKED);
  });

  it('is asked for once by all who ask for it at a time, and holds up nobody else', async () => {
    const { slow, stolen } = await aged();
    const thiefs = Array.from({ length: 200 }, () =>
      slow.revocations.revokeSubject('alice', except('thief')),
    );
    const before = instances.log.appended;
    await slow.revocations.revokeSubject('alice');
    await Promise.all(thiefs);
    // The one under way, the one that waited, and the one without exemption.
    expect(instances.log.appended - before).toBeLessThanOrEqual(12);
    expect(await one.verdict(stolen)).toBe(REVOKED);
  });
});
