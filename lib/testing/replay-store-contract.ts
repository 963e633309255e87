import assert from 'node:assert/strict';

import type { ReplayStore } from '../binding/replay-store.js';
import { HOSTILE_KEYS, KEYS_OUT_OF_BOUNDS, unlessRefused } from './hostile-keys.js';
import { flood, unlessFull } from './flood.js';
import type { Clause } from './trial.js';

const MINUTE = 60_000;

/** The contract of `ReplayStore`. */
export const replayStoreContract: readonly Clause<ReplayStore>[] = [
  {
    name: 'grants a key once, to whatever instance',
    prove: async (trial) => {
      const { one, other } = trial;
      const claim = { key: 'key', expiresAt: trial.now() + MINUTE };
      assert.equal(await one.claimOnce(claim), true);
      assert.equal(await one.claimOnce(claim), false);
      assert.equal(await other.claimOnce(claim), false);
    },
  },
  {
    name: 'grants a key to exactly one of 100 parallel claims, of two instances',
    prove: async (trial) => {
      const expiresAt = trial.now() + MINUTE;
      for (let round = 0; round < 5; round++) {
        const granted = await trial.parallel(100, (store) =>
          store.claimOnce({ key: `key-${round}`, expiresAt }),
        );
        assert.equal(granted.filter(Boolean).length, 1, 'not exactly one was granted');
      }
    },
  },
  {
    name: 'grants each of many keys claimed at once',
    prove: async (trial) => {
      const expiresAt = trial.now() + MINUTE;
      const claim = (store: ReplayStore, index: number): Promise<boolean> =>
        store.claimOnce({ key: `key-${index}`, expiresAt });
      assert.ok((await trial.parallel(100, claim)).every(Boolean), 'a key blocked another');
      assert.ok(!(await trial.parallel(100, claim)).some(Boolean), 'a key was granted twice');
    },
  },
  {
    name: 'never grants a key whose time has passed, and takes none for it',
    prove: async (trial) => {
      const { one } = trial;
      for (const expiresAt of [
        trial.now() - MINUTE,
        trial.now() - 1_000,
        0,
        1,
        -1,
        -Infinity,
        NaN,
      ]) {
        const granted = await unlessRefused(() => one.claimOnce({ key: 'key', expiresAt }));
        assert.notEqual(granted, true, `granted until ${expiresAt}`);
      }
      assert.equal(await one.claimOnce({ key: 'key', expiresAt: trial.now() + MINUTE }), true);
    },
  },
  {
    name: 'never grants a key again while the claim stands, whatever time the second one names',
    prove: async (trial) => {
      const { one, other } = trial;
      await one.claimOnce({ key: 'key', expiresAt: trial.now() + 10 * MINUTE });
      for (const later of [1, MINUTE, 10 * MINUTE, 20 * MINUTE]) {
        const granted = await other.claimOnce({ key: 'key', expiresAt: trial.now() + later });
        assert.equal(granted, false, `granted again for ${later} ms`);
      }
    },
  },
  {
    name: 'keeps a claim for its whole time, and no refused claim shortens it',
    prove: (trial) =>
      trial.within(async (window, open) => {
        const key = `key-${window}`;
        const assertOpen = open();
        await trial.one.claimOnce({ key, expiresAt: trial.now() + window });
        await trial.other.claimOnce({ key, expiresAt: trial.now() + window / 10 });
        await trial.pass(window / 2);
        const again = await trial.other.claimOnce({ key, expiresAt: trial.now() + MINUTE });
        assertOpen();
        assert.equal(again, false, 'granted again before its time had passed');
      }),
  },
  {
    name: 'grants no key again for a flood of others; it may refuse those as full',
    prove: async (trial) => {
      const expiresAt = trial.now() + 10 * MINUTE;
      assert.equal(await trial.one.claimOnce({ key: 'first', expiresAt }), true);
      await flood(trial, (store, index) => store.claimOnce({ key: `flood-${index}`, expiresAt }));
      for (const store of [trial.one, trial.other]) {
        const again = await unlessFull(() => store.claimOnce({ key: 'first', expiresAt }));
        assert.notEqual(again, true, 'granted again');
      }
    },
  },
  {
    name: 'tells hostile keys apart, and takes them as they are',
    prove: async (trial) => {
      const expiresAt = trial.now() + MINUTE;
      const first: boolean[] = [];
      for (const key of HOSTILE_KEYS) first.push(await trial.one.claimOnce({ key, expiresAt }));
      assert.deepEqual(
        HOSTILE_KEYS.filter((_, index) => !first[index]),
        [],
        'taken for another',
      );
      for (const key of HOSTILE_KEYS) {
        const again = await trial.other.claimOnce({ key, expiresAt });
        assert.equal(again, false, `granted twice: ${JSON.stringify(key)}`);
      }
    },
  },
  {
    name: 'refuses keys that are too short or too long, or grants them once',
    prove: async (trial) => {
      const { one, other } = trial;
      const expiresAt = trial.now() + MINUTE;
      // Cut to what fits, a long key would be this one.
      assert.equal(await one.claimOnce({ key: 'x'.repeat(512), expiresAt }), true);
      for (const key of [...KEYS_OUT_OF_BOUNDS, '\ud800', '\udfff']) {
        const first = await unlessRefused(() => one.claimOnce({ key, expiresAt }));
        const second = await unlessRefused(() => other.claimOnce({ key, expiresAt }));
        assert.notEqual(second, true, `granted after ${first}: a key of ${key.length}`);
      }
    },
  },
];
