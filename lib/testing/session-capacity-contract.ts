import assert from 'node:assert/strict';

import type { SessionStore } from '../sessions/session-store.js';
import { createAll, idsOf, SessionUnderTest } from './session-mother.js';
import type { Clause } from './trial.js';

/** The contract of `SessionStore.create`, where an owner has as many sessions as it may have. */
export const sessionCapacityContract: readonly Clause<SessionStore>[] = [
  {
    name: 'ends the oldest sessions of an owner to make room, and answers which',
    prove: async (trial) => {
      await createAll(trial, ['a', 'b', 'c']);
      await new SessionUnderTest('neighbour', 'a').create(trial.one);
      await trial.pass(2);
      // What was used last is not what began last.
      await new SessionUnderTest('owner', 'a').rotate(trial.other, 0);
      const begin = (id: string, atMost: number) =>
        new SessionUnderTest('owner', id).create(trial.other, { atMost });
      assert.deepEqual(await begin('d', 4), [], 'there was room');
      assert.deepEqual(await begin('e', 4), ['a']);
      assert.deepEqual(await idsOf(trial.one, 'owner'), ['b', 'c', 'd', 'e']);
      assert.deepEqual(await begin('e', 1), null, 'it is there');
      assert.deepEqual(await idsOf(trial.one, 'owner'), ['b', 'c', 'd', 'e']);
      assert.deepEqual(await begin('f', 2), ['b', 'c', 'd']);
      assert.deepEqual(await begin('g', 1), ['e', 'f']);
      assert.deepEqual(await idsOf(trial.one, 'owner'), ['g']);
      assert.deepEqual(await idsOf(trial.one, 'neighbour'), ['a']);
      assert.deepEqual(await new SessionUnderTest('owner', 'b').rotate(trial.one, 0), {
        verdict: 'unknown',
      });
      assert.equal(await trial.one.end({ owner: 'owner', id: 'f' }), false, 'it had ended');
    },
  },
  {
    name: 'makes room by live sessions alone: what has ended counts for nothing',
    prove: async (trial) => {
      const ids = ['a', 'misused', 'ended', 'b'];
      const sessions = await createAll(trial, ids);
      await new SessionUnderTest('owner', 'brief').create(trial.one, { idleFor: 20 });
      await sessions[1]?.rotate(trial.one, 7);
      await trial.other.end({ owner: 'owner', id: 'ended' });
      await trial.pass(21);
      const begin = (id: string) =>
        new SessionUnderTest('owner', id).create(trial.other, { atMost: 3 });
      assert.deepEqual(await begin('c'), []);
      assert.deepEqual(await idsOf(trial.one, 'owner'), ['a', 'b', 'c']);
      assert.deepEqual(await begin('d'), ['a']);
    },
  },
  {
    name: 'leaves an owner no more sessions than told, and names each that ended once, of 50 at once',
    prove: async (trial) => {
      const ended = await trial.parallel(50, (store, index) =>
        new SessionUnderTest('owner', `id-${index}`).create(store, { atMost: 3 }),
      );
      const named = ended.flatMap((ids) => ids ?? ['not stored']);
      const live = await idsOf(trial.one, 'owner');
      assert.equal(live.length, 3);
      const all = Array.from({ length: 50 }, (_, index) => `id-${index}`);
      assert.deepEqual([...named, ...live].toSorted(), all.toSorted());
    },
  },
];
