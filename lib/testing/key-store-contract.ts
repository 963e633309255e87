import assert from 'node:assert/strict';

import type { KeyStore } from '../keys/key-store.js';
import type { Clause } from './trial.js';

/** Texts a store must give back as they were. */
const RINGS: readonly string[] = [
  '{"keys":[]}',
  '',
  ' \r\n\t\0 ',
  'it\'s "quoted" \\ and $escaped %s {0} `here`',
  'äöü \u4e2d\u6587 \u{1f511} \u2028 \ufeff a\u0308',
  '__proto__',
  'null',
  '0',
  'eyJhbGciOiJkaXIifQ.'.repeat(10_526) + '\u{1f511}',
];

/** The contract of `KeyStore`. */
export const keyStoreContract: readonly Clause<KeyStore>[] = [
  {
    name: 'is empty at first, also for a version somebody thinks it saw',
    prove: async ({ one }) => {
      assert.equal((await one.load()).stored, null);
      for (const expectedVersion of [0, 1, 2 ** 40]) {
        assert.equal(await one.replace({ expectedVersion, ring: 'a' }), false);
      }
      assert.equal((await one.load()).stored, null);
    },
  },
  {
    name: 'stores the first ring only while there is none',
    prove: async ({ one, other }) => {
      assert.equal(await one.replace({ expectedVersion: null, ring: 'a' }), true);
      assert.equal(await other.replace({ expectedVersion: null, ring: 'b' }), false);
      assert.equal((await one.load()).stored?.ring, 'a');
      assert.equal((await other.load()).stored?.ring, 'a');
    },
  },
  {
    name: 'lets one of 50 parallel first rings win, of two instances',
    prove: async (trial) => {
      const verdicts = await trial.parallel(50, (store, index) =>
        store.replace({ expectedVersion: null, ring: `ring-${index}` }),
      );
      await proveOneWinner(trial.one, verdicts);
    },
  },
  {
    name: 'lets one of 50 parallel replacements of a version win, of two instances',
    prove: async (trial) => {
      await trial.one.replace({ expectedVersion: null, ring: 'old' });
      const expectedVersion = (await trial.other.load()).stored?.version ?? null;
      const verdicts = await trial.parallel(50, (store, index) =>
        store.replace({ expectedVersion, ring: `ring-${index}` }),
      );
      await proveOneWinner(trial.one, verdicts);
    },
  },
  {
    name: 'loses no update when instances load, add and replace until they win',
    prove: async (trial) => {
      await trial.one.replace({ expectedVersion: null, ring: '' });
      await trial.parallel(10, async (store, index) => {
        for (let won = false; !won;) {
          const { stored } = await store.load();
          assert.ok(stored !== null, 'the ring is gone');
          const ring = `${stored.ring}${index};`;
          won = await store.replace({ expectedVersion: stored.version, ring });
        }
      });
      const { stored } = await trial.other.load();
      const added = stored?.ring.split(';').slice(0, -1).map(Number);
      assert.deepEqual(
        added?.toSorted((a, b) => a - b),
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
      );
    },
  },
  {
    name: 'gives positive whole versions that grow, also for equal rings',
    prove: async ({ one, other }) => {
      let version: number | null = null;
      for (const ring of ['a', 'b', 'a', 'a', 'a']) {
        assert.equal(await one.replace({ expectedVersion: version, ring }), true);
        const { stored } = await other.load();
        assert.ok(stored !== null && Number.isSafeInteger(stored.version), 'no whole number');
        assert.ok(stored.version > (version ?? 0), `${stored.version} follows ${version}`);
        version = stored.version;
      }
    },
  },
  {
    name: 'refuses a version that stood once, or is yet to come',
    prove: async ({ one, other }) => {
      await one.replace({ expectedVersion: null, ring: 'a' });
      const first = (await one.load()).stored;
      await one.replace({ expectedVersion: first?.version ?? null, ring: 'b' });
      const second = (await one.load()).stored;
      assert.ok(first !== null && second !== null, 'a ring is gone');
      const wrong = [null, 0, first.version, second.version + 1, second.version + 0.5, -1, NaN];
      for (const expectedVersion of wrong) {
        const verdict = await other.replace({ expectedVersion, ring: 'c' }).catch(() => false);
        assert.equal(verdict, false, `a ring was replaced by one computed from ${expectedVersion}`);
      }
      assert.deepEqual((await one.load()).stored, second);
    },
  },
  {
    name: 'gives back every ring as it was, up to 200 KB',
    prove: async ({ one, other }) => {
      for (const ring of RINGS) {
        const expectedVersion = (await one.load()).stored?.version ?? null;
        assert.equal(await one.replace({ expectedVersion, ring }), true);
        const loaded = (await other.load()).stored?.ring;
        assert.ok(loaded === ring, `${JSON.stringify(ring.slice(0, 40))} came back changed`);
      }
    },
  },
  {
    name: 'tells its own time, which does not run backwards, or none',
    prove: async (trial) => {
      const first = (await trial.one.load()).storeTime;
      await trial.pass(20);
      const second = (await trial.other.load()).storeTime;
      assert.equal(first === null, second === null, 'a store has a clock or it has none');
      if (first === null || second === null) return;
      assert.ok(second > first, 'the clock of the store stands');
      const day = 86_400_000;
      assert.ok(Math.abs(second - trial.now()) < day, 'not milliseconds since the epoch');
    },
  },
  {
    name: 'calls back on every instance after a ring was replaced, when load answers the new one',
    prove: async (trial) => {
      const { one, other } = trial;
      const seen: (string | undefined)[] = [];
      const look = (): void =>
        void other.load().then(
          ({ stored }) => seen.push(stored?.ring),
          () => {},
        );
      const own: string[] = [];
      other.onChange(look);
      one.onChange(() => own.push('called'));
      await one.replace({ expectedVersion: null, ring: 'a' });
      await trial.until('the other instance hears of the ring', () => seen.includes('a'));
      await trial.until('so does the one that replaced it', () => own.length > 0);
      const expectedVersion = (await other.load()).stored?.version ?? null;
      await one.replace({ expectedVersion, ring: 'b' });
      await trial.until('the other instance hears of the next', () => seen.includes('b'));
    },
  },
  {
    name: 'calls back no more once the subscription ended, whatever a listener throws',
    prove: async (trial) => {
      const { one, other } = trial;
      let ended = 0;
      let kept = 0;
      other.onChange(() => {
        throw new Error('a listener failed');
      });
      const unsubscribe = other.onChange(() => ended++);
      other.onChange(() => kept++);
      unsubscribe();
      unsubscribe();
      await assert.doesNotReject(one.replace({ expectedVersion: null, ring: 'a' }));
      await trial.until('the others hear of the ring', () => kept > 0);
      assert.equal(ended, 0);
    },
  },
];

/** What holds of `KeyStore` after the backend lost everything. */
export const keyStoreWipeContract: readonly Clause<KeyStore>[] = [
  {
    name: 'goes on with versions it never gave before, after it was wiped',
    prove: async (trial) => {
      const { one, other } = trial;
      await one.replace({ expectedVersion: null, ring: 'a' });
      const before = (await one.load()).stored;
      await trial.pass(20);
      await trial.wipe();
      await trial.until('the store answers, with no ring', async () => {
        const loaded = await other.load().catch(() => undefined);
        return loaded !== undefined && loaded.stored === null;
      });
      assert.equal(await other.replace({ expectedVersion: null, ring: 'b' }), true);
      const after = (await other.load()).stored;
      assert.ok(before !== null && after !== null, 'a ring is gone');
      assert.ok(after.version > before.version, `${after.version} follows ${before.version}`);
      const verdict = await one.replace({ expectedVersion: before.version, ring: 'c' });
      assert.equal(verdict, false, 'a ring was replaced by one computed from a lost one');
    },
  },
];

async function proveOneWinner(store: KeyStore, verdicts: readonly boolean[]): Promise<void> {
  assert.equal(verdicts.filter(Boolean).length, 1, 'not exactly one was told it won');
  assert.equal((await store.load()).stored?.ring, `ring-${verdicts.indexOf(true)}`);
}
