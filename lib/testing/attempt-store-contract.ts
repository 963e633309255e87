import assert from 'node:assert/strict';

import type { AttemptStore } from '../abuse/attempt-store.js';
import { HOSTILE_KEYS, KEYS_OUT_OF_BOUNDS, unlessRefused } from './hostile-keys.js';
import { flood, unlessFull } from './flood.js';
import type { Clause, Trial } from './trial.js';

const MINUTE = 60_000;
const NONE = { count: 0, sincePrevious: null, expiresIn: 0 };

/** The contract of `AttemptStore`. */
export const attemptStoreContract: readonly Clause<AttemptStore>[] = [
  {
    name: 'knows of no attempts at first',
    prove: async ({ one }) => assert.deepEqual(await one.read('key'), NONE),
  },
  {
    name: 'counts on, whatever instance is asked',
    prove: async ({ one, other }) => {
      const attempt = { key: 'key', window: MINUTE, runsFrom: 'first' } as const;
      assert.equal((await one.record(attempt)).count, 1);
      assert.equal((await other.record(attempt)).count, 2);
      assert.equal((await other.read('key')).count, 2);
      assert.equal((await one.record(attempt)).count, 3);
    },
  },
  ...(['first', 'last'] as const).map((runsFrom) => ({
    name: `gives 50 parallel attempts 50 numbers, window from the ${runsFrom}`,
    prove: async (trial: Trial<AttemptStore>) => {
      const attempts = await trial.parallel(50, (store) =>
        store.record({ key: 'key', window: MINUTE, runsFrom }),
      );
      assert.deepEqual(
        attempts.map(({ count }) => count).toSorted((a, b) => a - b),
        Array.from({ length: 50 }, (_, index) => index + 1),
      );
      assert.equal((await trial.one.read('key')).count, 50);
    },
  })),
  {
    name: 'says how long ago the attempt before was',
    prove: (trial) =>
      trial.within(async (window, open) => {
        const attempt = { key: `key-${window}`, window: MINUTE, runsFrom: 'first' } as const;
        const assertOpen = open();
        assert.equal((await trial.one.record(attempt)).sincePrevious, null);
        await trial.pass(window / 2);
        const since = (await trial.other.record(attempt)).sincePrevious;
        const read = (await trial.one.read(attempt.key)).sincePrevious;
        assertOpen();
        assertBetween(since, window / 2, window, 'record: sincePrevious');
        assertBetween(read, 0, window / 2, 'read: sincePrevious');
      }),
  },
  {
    name: 'says when the attempts are forgotten',
    prove: async (trial) => {
      for (const runsFrom of ['first', 'last'] as const) {
        const attempt = { key: runsFrom, window: 10 * MINUTE, runsFrom };
        const { expiresIn } = await trial.one.record(attempt);
        assertBetween(expiresIn, 9 * MINUTE, 10 * MINUTE, 'record: expiresIn');
        const read = await trial.other.read(runsFrom);
        assertBetween(read.expiresIn, 9 * MINUTE, 10 * MINUTE, 'read: expiresIn');
      }
    },
  },
  {
    name: 'forgets all attempts when the window that the first opened is over',
    prove: (trial) =>
      trial.within(async (window, open) => {
        const attempt = { key: `key-${window}`, window, runsFrom: 'first' } as const;
        const assertOpen = open();
        await trial.one.record(attempt);
        await trial.pass(window / 2);
        const second = await trial.other.record(attempt);
        assertOpen();
        assert.equal(second.count, 2);
        assertBetween(second.expiresIn, 0, window / 2, 'expiresIn after half of the window');
        await trial.pass(window / 2);
        assert.deepEqual(await trial.one.read(attempt.key), NONE);
        const fresh = await trial.one.record(attempt);
        assert.deepEqual([fresh.count, fresh.sincePrevious], [1, null]);
      }),
  },
  {
    name: 'opens the window anew from each attempt if it runs from the last',
    prove: (trial) =>
      trial.within(async (window, open) => {
        const attempt = { key: `key-${window}`, window, runsFrom: 'last' } as const;
        const assertFirstOpen = open();
        await trial.one.record(attempt);
        await trial.pass(window * 0.6);
        const assertSecondOpen = open();
        await trial.other.record(attempt);
        assertFirstOpen();
        await trial.pass(window * 0.6);
        const third = await trial.one.record(attempt);
        assertSecondOpen();
        assert.equal(third.count, 3, 'the window was not opened anew');
        assertBetween(third.expiresIn, window / 2, window, 'expiresIn');
        await trial.pass(window);
        assert.deepEqual(await trial.other.read(attempt.key), NONE);
        assert.equal((await trial.other.record(attempt)).count, 1);
      }),
  },
  {
    name: 'is not changed by reading',
    prove: async (trial) => {
      await trial.one.record({ key: 'key', window: MINUTE, runsFrom: 'last' });
      const before = await trial.one.read('key');
      await trial.pass(20);
      await trial.parallel(20, (store) => store.read('key'));
      const after = await trial.other.read('key');
      assert.equal(after.count, 1);
      assert.ok(after.expiresIn < before.expiresIn, 'reading opened the window anew');
      assert.ok((after.sincePrevious ?? 0) > (before.sincePrevious ?? 0), 'reading counted');
      await trial.parallel(20, (store) => store.read('other'));
      assert.deepEqual(await trial.one.read('other'), NONE);
    },
  },
  {
    name: 'forgets the attempts of a key that is cleared, and of no other',
    prove: async ({ one, other }) => {
      const attempt = { window: MINUTE, runsFrom: 'first' } as const;
      await one.record({ key: 'a', ...attempt });
      await one.record({ key: 'b', ...attempt });
      await other.clear('a');
      await other.clear('a');
      await other.clear('never there');
      assert.deepEqual(await one.read('a'), NONE);
      assert.equal((await one.read('b')).count, 1);
      const fresh = await one.record({ key: 'a', ...attempt });
      assert.deepEqual([fresh.count, fresh.sincePrevious], [1, null]);
    },
  },
  {
    name: 'forgets no attempt for a flood of other keys; it may refuse those as full',
    prove: async (trial) => {
      const attempt = { window: 10 * MINUTE, runsFrom: 'last' } as const;
      for (const count of [1, 2, 3]) {
        assert.equal((await trial.one.record({ key: 'first', ...attempt })).count, count);
      }
      await flood(trial, (store, index) => store.record({ key: `flood-${index}`, ...attempt }));
      assert.equal((await trial.other.read('first')).count, 3, 'forgotten');
      const next = await unlessFull(() => trial.one.record({ key: 'first', ...attempt }));
      if (next !== undefined) assert.equal(next.count, 4, 'counted anew');
    },
  },
  {
    name: 'tells hostile keys apart, and takes them as they are',
    prove: async ({ one, other }) => {
      const attempt = { window: MINUTE, runsFrom: 'first' } as const;
      for (const key of HOSTILE_KEYS) {
        assert.equal((await one.read(key)).count, 0, `known: ${JSON.stringify(key)}`);
        assert.equal((await one.record({ key, ...attempt })).count, 1, JSON.stringify(key));
      }
      for (const key of HOSTILE_KEYS) {
        assert.equal((await other.record({ key, ...attempt })).count, 2, JSON.stringify(key));
      }
      for (const key of HOSTILE_KEYS) {
        assert.equal(
          (await one.read(key)).count,
          2,
          `cleared with another: ${JSON.stringify(key)}`,
        );
        await one.clear(key);
      }
      for (const key of HOSTILE_KEYS) assert.deepEqual(await other.read(key), NONE);
    },
  },
  {
    name: 'refuses keys that are too short or too long, or counts them apart',
    prove: async ({ one, other }) => {
      const attempt = { window: MINUTE, runsFrom: 'first' } as const;
      await one.record({ key: 'x'.repeat(512), ...attempt });
      for (const key of KEYS_OUT_OF_BOUNDS) {
        const first = await unlessRefused(() => one.record({ key, ...attempt }));
        const second = await unlessRefused(() => other.record({ key, ...attempt }));
        const counts = [first?.count, second?.count];
        const refused = first === undefined && second === undefined;
        assert.deepEqual(counts, refused ? counts : [1, 2], `a key of ${key.length}`);
      }
      assert.equal((await one.read('x'.repeat(512))).count, 1);
    },
  },
];

function assertBetween(value: number | null, least: number, most: number, what: string): void {
  assert.ok(
    value !== null && value >= least && value <= most,
    `${what} is ${value}, not from ${least} to ${most}`,
  );
}
