import assert from 'node:assert/strict';

import type { SessionStore } from '../sessions/session-store.js';
import { createAll, digest, SessionUnderTest } from './session-mother.js';
import type { Clause } from './trial.js';

const HOUR = 3_600_000;

/** The contract of `SessionStore.find`. */
export const sessionFindingContract: readonly Clause<SessionStore>[] = [
  {
    name: 'shows a session to who knows its lineage, and ends it for nobody else who names one',
    prove: async (trial) => {
      const [session] = await createAll(trial, ['a']);
      assert.ok(session);
      const { key, lineage } = session;
      const first = session.token(0);
      const foreign = digest('the lineage of another session');
      assert.equal(await trial.other.find({ ...first, lineage: foreign }), null);
      assert.equal(await trial.other.find({ ...first, key: { ...key, id: 'b' } }), null);
      assert.equal(await trial.other.end({ ...key, lineage: foreign }), false);
      const [listed] = await trial.one.list(key.owner);
      assert.deepEqual((await session.find(trial.other, 0)).session, listed);
      assert.equal((await session.rotate(trial.one, 0)).verdict, 'rotated', 'it was used up');
      assert.equal((await session.find(trial.other, 0)).session.generation, 1);
      assert.equal(await trial.other.end({ ...key, lineage }), true);
      assert.equal(await trial.one.find(first), null);
      assert.deepEqual(await session.rotate(trial.one, 1), { verdict: 'unknown' });
      const [misused] = await createAll(trial, ['c']);
      assert.ok(misused);
      await misused.rotate(trial.one, 7);
      assert.equal(await trial.other.find(misused.token(0)), null, 'it had ended by misuse');
    },
  },
  {
    name: 'shows what a token is by now: current, former in its window, or any other',
    prove: async (trial) => {
      const [session] = await createAll(trial, ['a']);
      assert.ok(session);
      const shown = async (generation: number): Promise<string> =>
        (await session.find(generation % 2 ? trial.one : trial.other, generation)).shown;
      assert.equal(await shown(0), 'current');
      assert.equal(await shown(1), 'other', 'of a token that is still to come');
      await session.rotate(trial.one, 0);
      assert.deepEqual([await shown(0), await shown(1)], ['former', 'current']);
      await session.rotate(trial.other, 1);
      assert.deepEqual([await shown(0), await shown(1)], ['other', 'former']);
      await session.rotate(trial.one, 2, 0);
      assert.deepEqual([await shown(2), await shown(3)], ['other', 'current'], 'without a window');
      const forged = { ...session.token(3), secret: digest('forged') };
      assert.equal((await trial.one.find(forged))?.shown, 'other');
      assert.equal((await session.rotate(trial.one, 3)).verdict, 'rotated', 'it was ended');
    },
  },
  {
    name: 'shows a former token as any other once its window is over',
    prove: (trial) =>
      trial.within(async (window, open) => {
        const session = new SessionUnderTest('owner', `${window}`);
        await session.create(trial.one);
        const assertOpen = open();
        await session.rotate(trial.one, 0, window);
        const { shown } = await session.find(trial.other, 0);
        assertOpen();
        assert.equal(shown, 'former');
        await trial.pass(window);
        assert.equal((await session.find(trial.other, 0)).shown, 'other');
      }),
  },
  {
    name: 'tells the instant by which it found a session',
    prove: async (trial) => {
      const [session] = await createAll(trial, ['a']);
      assert.ok(session);
      const first = await session.find(trial.one, 0);
      assert.ok(first.at >= first.session.createdAt, 'it was found before it was there');
      await trial.pass(20);
      const second = await session.find(trial.one, 0);
      assert.ok(second.at >= first.at + 20, 'time stands');
      assert.ok(Math.abs(second.at - trial.now()) < HOUR, 'it is no time of day');
    },
  },
];
