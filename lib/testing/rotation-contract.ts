import assert from 'node:assert/strict';

import {
  ASKED_WITHIN,
  type Misuse,
  type RotationVerdict,
  type SessionRecord,
  type SessionStore,
} from '../sessions/session-store.js';
import { digest, SessionUnderTest } from './session-mother.js';
import type { Clause, Trial } from './trial.js';

const HOUR = 3_600_000;

/** The contract of `SessionStore.rotate`. */
export const rotationContract: readonly Clause<SessionStore>[] = [
  {
    name: 'rotates the current token, and puts the next one in its place',
    prove: async (trial) => {
      const session = await started(trial);
      const [created] = await trial.one.list('owner');
      assert.ok(created !== undefined, 'the session is gone');
      for (let generation = 0; generation < 20; generation++) {
        await trial.pass(2);
        const store = generation % 2 ? trial.one : trial.other;
        const rotation = await session.rotate(store, generation);
        assert.equal(rotation.verdict, 'rotated');
        const { lastUsedAt } = rotation.session;
        assert.ok(lastUsedAt > created.lastUsedAt, 'lastUsedAt stands');
        const expected: SessionRecord = { ...created, lastUsedAt, generation: generation + 1 };
        assert.deepEqual(rotation.session, expected);
        assert.deepEqual(await trial.one.list('owner'), [expected]);
      }
    },
  },
  {
    name: 'replaces the data with a rotation that brings some, also by an empty text',
    prove: async (trial) => {
      const session = await started(trial);
      for (const [generation, data] of ['first', null, '', null, 'last'].entries()) {
        const before = (await trial.one.list('owner'))[0]?.data;
        const next = { ...session.next(generation + 1), data };
        const presented = session.token(generation);
        const rotation = await trial.other.rotate({ presented, next, graceFor: 0, askedAt: null });
        assert.equal(rotation.verdict, 'rotated');
        assert.equal(rotation.session.data, data ?? before);
        assert.equal((await trial.one.list('owner'))[0]?.data, data ?? before);
      }
    },
  },
  {
    name: 'knows no token of a session that never was',
    prove: async (trial) => {
      const unknown = { verdict: 'unknown' };
      assert.deepEqual(await new SessionUnderTest('owner', 'id').rotate(trial.one, 0), unknown);
      await started(trial);
      assert.deepEqual(await new SessionUnderTest('owner', 'id2').rotate(trial.one, 0), unknown);
      assert.deepEqual(await new SessionUnderTest('owner2', 'id').rotate(trial.one, 0), unknown);
    },
  },
  {
    name: 'changes nothing for a guessed session without its lineage, in whatever state',
    prove: async (trial) => {
      const session = await started(trial);
      await session.rotate(trial.one, 0);
      const before = await trial.one.list('owner');
      for (const lineage of [digest('guess'), '', session.lineage.slice(1), '__proto__']) {
        for (const { secret } of [session.token(0), session.token(1), session.token(9)]) {
          const presented = { ...session.token(1), lineage, secret };
          const next = session.next(99);
          const verdict = await trial.other.rotate({
            presented,
            next,
            graceFor: HOUR,
            askedAt: null,
          });
          assert.deepEqual(verdict, { verdict: 'unknown' });
        }
      }
      assert.deepEqual(await trial.one.list('owner'), before);
      assert.equal((await session.rotate(trial.one, 1)).verdict, 'rotated');
      await session.rotate(trial.one, 0);
      const presented = { ...session.token(1), lineage: digest('guess') };
      const verdict = await trial.one.rotate({
        presented,
        next: session.next(2),
        graceFor: 0,
        askedAt: null,
      });
      assert.deepEqual(verdict, { verdict: 'unknown' }, 'an ended session answered a guess');
    },
  },
  {
    name: 'lets one of 50 parallel uses of a token win; in the window all others get its successor',
    prove: async (trial) => {
      const session = await started(trial);
      for (let generation = 0, token = session.token(0); generation < 5; generation++) {
        const presented = token;
        const verdicts = await trial.parallel(50, (store, contender) => {
          const next = session.next(generation + 1, contender);
          return store.rotate({ presented, next, graceFor: HOUR, askedAt: null });
        });
        const winners = indexesOf(verdicts, 'rotated');
        assert.equal(winners.length, 1, 'not exactly one rotated');
        const successor = session.next(generation + 1, winners[0]);
        for (const verdict of verdicts) {
          if (verdict.verdict === 'rotated') continue;
          assert.equal(verdict.verdict, 'repeated');
          assert.equal(verdict.sealed, successor.sealed, 'a second successor was given out');
        }
        assert.equal((await trial.one.list('owner'))[0]?.generation, generation + 1);
        token = { ...token, secret: successor.secret };
      }
    },
  },
  {
    name: 'lets one of 50 parallel uses win, one tell of reuse, and all others find it ended, without a window',
    prove: async (trial) => {
      const session = await started(trial);
      const { at: askedAt } = await session.find(trial.one, 0);
      const verdicts = await trial.parallel(50, (store, contender) =>
        store.rotate({
          presented: session.token(0),
          next: session.next(1, contender),
          graceFor: 0,
          // All of them asked while it was the current one: without a window that is no excuse.
          askedAt,
        }),
      );
      assert.equal(indexesOf(verdicts, 'rotated').length, 1, 'not exactly one rotated');
      assert.equal(indexesOf(verdicts, 'reused').length, 1, 'reuse was not told exactly once');
      assert.equal(indexesOf(verdicts, 'ended').length, 48);
      assert.deepEqual(await trial.other.list('owner'), []);
    },
  },
  {
    name: 'answers the predecessor with what the winner stored, inside the window, and changes nothing',
    prove: async (trial) => {
      const session = await started(trial);
      await session.rotate(trial.one, 0);
      const [record] = await trial.one.list('owner');
      await trial.pass(2);
      for (const store of [trial.one, trial.other, trial.one]) {
        const next = { ...session.next(1, 7), data: 'of a loser' };
        const verdict = await store.rotate({
          presented: session.token(0),
          next,
          graceFor: HOUR,
          askedAt: null,
        });
        const { sealed } = session.next(1);
        assert.deepEqual(verdict, { verdict: 'repeated', session: record, sealed });
      }
      assert.deepEqual(await trial.other.list('owner'), [record]);
      assert.equal((await session.rotate(trial.other, 1)).verdict, 'rotated');
    },
  },
  {
    name: 'closes the window in time, however often it was used and whatever is asked for later',
    prove: (trial) =>
      trial.within(async (window, open) => {
        const session = await started(trial, `${window}`);
        const assertOpen = open();
        await session.rotate(trial.one, 0, window);
        await trial.pass(window * 0.6);
        const repeated = await session.rotate(trial.other, 0, window);
        assertOpen();
        assert.equal(repeated.verdict, 'repeated');
        await trial.pass(window * 0.4);
        assertReused(await session.rotate(trial.one, 0, HOUR), 'recent');
        await assertEnded(trial, session, 1);
      }),
  },
  {
    name: 'goes by when it was asked: who raced with the rotation is in its window, however late it is judged',
    prove: (trial) =>
      trial.within(async (window, open) => {
        const session = await started(trial, `${window}`);
        const { at: before } = await session.find(trial.other, 0);
        const assertOpen = open();
        await trial.pass(2);
        await session.rotate(trial.one, 0, window);
        const { at: inside } = await session.find(trial.other, 0);
        assertOpen();
        await trial.pass(2 * window);
        const { sealed } = session.next(1);
        for (const askedAt of [before, inside]) {
          const verdict = await session.rotate(trial.other, 0, window, askedAt);
          assert.equal(verdict.verdict, 'repeated');
          assert.equal(verdict.sealed, sealed);
        }
        const { at: outside } = await session.find(trial.one, 0);
        assertReused(await session.rotate(trial.other, 0, window, outside), 'recent');
        await assertEnded(trial, session, 1);
      }),
  },
  {
    name: 'does nothing for who asked too long ago, or in time to come, whatever the token',
    prove: async (trial) => {
      const session = await started(trial);
      await session.rotate(trial.one, 0);
      await session.rotate(trial.one, 1);
      const { at, session: record } = await session.find(trial.one, 2);
      const late = { verdict: 'late' };
      const assertLate = async (): Promise<void> => {
        for (const askedAt of [0, at - ASKED_WITHIN - 1, at + HOUR]) {
          for (const generation of [0, 1, 2, 3]) {
            assert.deepEqual(await session.rotate(trial.other, generation, HOUR, askedAt), late);
          }
        }
      };
      await assertLate();
      assert.deepEqual((await session.find(trial.one, 2)).session, record);
      const asked = await session.rotate(trial.other, 2, HOUR, at - ASKED_WITHIN / 2);
      assert.equal(asked.verdict, 'rotated', 'it was not too long ago');
      assertReused(await session.rotate(trial.one, 0), 'older');
      await assertLate();
      await assertEnded(trial, session, 3, 'older');
    },
  },
  {
    name: 'closes the window when the successor is used',
    prove: async (trial) => {
      const session = await started(trial);
      await session.rotate(trial.one, 0);
      assert.equal((await session.rotate(trial.other, 0)).verdict, 'repeated');
      await session.rotate(trial.one, 1);
      assertReused(await session.rotate(trial.other, 0), 'recent');
      await assertEnded(trial, session, 2);
    },
  },
  {
    name: 'keeps to the shorter window, of those that the rotation and its repetition ask for',
    prove: async (trial) => {
      for (const [id, first, second] of [
        ['none-then-hour', 0, HOUR],
        ['hour-then-none', HOUR, 0],
      ] as const) {
        const session = await started(trial, id);
        await session.rotate(trial.one, 0, first);
        assertReused(await session.rotate(trial.other, 0, second), 'recent');
        await assertEnded(trial, session, 1);
      }
    },
  },
  {
    name: 'ends the session on a token from long before, and calls it older',
    prove: async (trial) => {
      const session = await started(trial);
      for (const generation of [0, 1, 2]) await session.rotate(trial.one, generation);
      const verdict = await session.rotate(trial.other, 0);
      assertReused(verdict, 'older');
      await assertEnded(trial, session, 3, 'older');
    },
  },
  {
    name: 'ends the session on a token of its lineage that was never issued',
    prove: async (trial) => {
      const session = await started(trial);
      await session.rotate(trial.one, 0);
      const presented = { ...session.token(1), secret: digest('forged') };
      const next = session.next(2);
      assertReused(
        await trial.other.rotate({ presented, next, graceFor: HOUR, askedAt: null }),
        'unknown',
      );
      await assertEnded(trial, session, 1, 'unknown');
    },
  },
  ...['current', 'predecessor'].flatMap((which) =>
    [
      ['another', 'binding', 'other'],
      ['none', 'binding', null],
      ['one that the session has not', null, 'binding'],
    ].map(([what = '', own = null, sent = null]) => ({
      name: `ends the session on its ${which} token with a binding that differs: ${what}`,
      prove: async (trial: Trial<SessionStore>): Promise<void> => {
        const session = new SessionUnderTest('owner', 'id', own);
        await session.create(trial.one);
        await session.rotate(trial.one, 0);
        const generation = which === 'current' ? 1 : 0;
        const presented = { ...session.token(generation), binding: sent };
        const next = session.next(generation + 1);
        assertReused(
          await trial.other.rotate({ presented, next, graceFor: HOUR, askedAt: null }),
          'binding',
        );
        await assertEnded(trial, session, 1, 'binding');
      },
    })),
  ),
  {
    name: 'accepts the binding of the session, again and again',
    prove: async (trial) => {
      const session = new SessionUnderTest('owner', 'id', digest('binding'));
      await session.create(trial.one);
      for (let generation = 0; generation < 3; generation++) {
        assert.equal((await session.rotate(trial.one, generation)).verdict, 'rotated');
        assert.equal((await session.rotate(trial.other, generation)).verdict, 'repeated');
      }
    },
  },
  {
    name: 'tells of a reuse once, of 50 at once',
    prove: async (trial) => {
      const session = await started(trial);
      for (const generation of [0, 1, 2]) await session.rotate(trial.one, generation);
      const verdicts = await trial.parallel(50, (store) => session.rotate(store, 0));
      assert.equal(indexesOf(verdicts, 'reused').length, 1, 'not told exactly once');
      assert.equal(indexesOf(verdicts, 'ended').length, 49);
      await assertEnded(trial, session, 3, 'older');
    },
  },
  {
    name: 'ends a session by misuse, and no other of its owner',
    prove: async (trial) => {
      const session = await started(trial);
      const other = await started(trial, 'other');
      await session.rotate(trial.one, 0, 0);
      assertReused(await session.rotate(trial.other, 0, 0), 'recent');
      assert.deepEqual(
        (await trial.one.list('owner')).map(({ key }) => key.id),
        ['other'],
      );
      assert.equal((await other.rotate(trial.other, 0)).verdict, 'rotated');
      assert.equal(await trial.one.end(session.key), false, 'it had ended');
      assert.deepEqual(await trial.one.endAll({ owner: 'owner', except: null }), ['other']);
    },
  },
  {
    name: 'never rotates twice what races with misuse: two lines never live on',
    prove: async (trial) => {
      for (let round = 0; round < 20; round++) {
        const session = await started(trial, `${round}`);
        await session.rotate(trial.one, 0);
        await session.rotate(trial.one, 1);
        // The thief holds the first token, the owner the current one.
        const [thief, owner] = await Promise.all([
          session.rotate(round % 2 ? trial.one : trial.other, 0),
          session.rotate(trial.one, 2),
        ]);
        assert.equal(thief.verdict, 'reused');
        assert.ok(['rotated', 'ended'].includes(owner.verdict), owner.verdict);
        await assertEnded(trial, session, 3, thief.misuse);
      }
    },
  },
];

async function started(trial: Trial<SessionStore>, id = 'id'): Promise<SessionUnderTest> {
  const session = new SessionUnderTest('owner', id);
  assert.deepEqual(await session.create(trial.one), []);
  return session;
}

function indexesOf(
  verdicts: readonly RotationVerdict[],
  wanted: RotationVerdict['verdict'],
): readonly number[] {
  return verdicts.flatMap(({ verdict }, index) => (verdict === wanted ? [index] : []));
}

function assertReused(verdict: RotationVerdict, misuse: string): void {
  assert.equal(verdict.verdict, 'reused');
  assert.equal(verdict.misuse, misuse);
}

/** No token of it works, current or not; all are told why, and nobody sees it any more. */
async function assertEnded(
  trial: Trial<SessionStore>,
  session: SessionUnderTest,
  current: number,
  misuse: Misuse = 'recent',
): Promise<void> {
  for (let generation = current + 1; generation >= 0; generation--) {
    const verdict = await session.rotate(generation % 2 ? trial.one : trial.other, generation);
    assert.equal(verdict.verdict, 'ended', `token ${generation} after the end`);
    assert.deepEqual(verdict.session.key, session.key);
    assert.equal(verdict.misuse, misuse, `how token ${generation} is told it ended`);
  }
  const ids = (await trial.one.list(session.key.owner)).map(({ key }) => key.id);
  assert.ok(!ids.includes(session.key.id), 'it is still listed');
}
