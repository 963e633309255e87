import assert from 'node:assert/strict';

import type { RevocationLog } from '../revocation/revocation-log.js';
import { appendMany, readAll, textOf } from './revocation-log-contract.js';
import type { Clause, Trial } from './trial.js';

const MINUTE = 60_000;

/** Everything a follower heard, in order. */
class Diary {
  readonly texts: string[] = [];
  readonly positions: string[] = [];
  current = 0;
  lost = 0;
  readonly stop: () => void;

  constructor(
    readonly log: RevocationLog,
    readonly after: string | null,
  ) {
    this.stop = log.follow({
      after,
      onEntries: (entries) => {
        this.texts.push(...entries.map(textOf));
        this.positions.push(...entries.map(({ position }) => position));
      },
      onCurrent: () => this.current++,
      onLost: () => this.lost++,
    });
  }
}

/** The contract of the followers of a `RevocationLog`. */
export const logFollowingContract: readonly Clause<RevocationLog>[] = [
  {
    name: 'tells a follower of entries from whatever instance, and of nothing before its position',
    prove: async (trial) => {
      await appendMany(trial, 3);
      const logs = await fromTheirEnd([trial.one, trial.other]);
      await following(logs, async (diaries) => {
        await append(trial, trial.one, 'a');
        await append(trial, trial.other, 'b');
        for (const { texts } of diaries) {
          await trial.until('a follower hears of both entries', () => texts.length >= 2);
        }
        for (const { texts } of diaries) assert.deepEqual(texts.toSorted(), ['a', 'b']);
      });
    },
  },
  {
    name: 'tells a follower from the start of all there is',
    prove: async (trial) => {
      const texts = await appendMany(trial, 250);
      await following(fromTheStart(trial.other), async ([diary]) => {
        await trial.until('it hears of all', () => (diary?.texts.length ?? 0) >= 250);
        assert.deepEqual(diary?.texts, texts);
      });
    },
  },
  {
    name: 'tells every follower of each entry exactly once, in the order of the log, under load',
    prove: async (trial) => {
      await appendMany(trial, 10);
      const logs = await fromTheirEnd([trial.one, trial.other, trial.other]);
      await following(logs, async (diaries) => {
        for (let round = 0; round < 10; round++) {
          await trial.parallel(20, (log, index) => append(trial, log, `${round}-${index}`));
        }
        for (const { texts } of diaries) {
          await trial.until('a follower hears of all entries', () => texts.length >= 200);
        }
        await append(trial, trial.one, 'last');
        for (const { texts } of diaries) {
          await trial.until('a follower hears of the last', () => texts.includes('last'));
        }
        for (const { log, after, texts, positions } of diaries) {
          const entries = await readAll(log, after);
          assert.deepEqual(texts, entries.map(textOf));
          assert.deepEqual(
            positions,
            entries.map(({ position }) => position),
          );
        }
      });
    },
  },
  {
    name: 'hands over from reading to following without a gap',
    prove: async (trial) => {
      const appending = trial.parallel(100, (log, index) => append(trial, log, `${index}`));
      const page = await trial.other.read({ after: null, limit: 10 });
      assert.equal(page.verdict, 'read');
      await following([{ log: trial.other, after: page.position }], async ([diary]) => {
        await appending;
        const heard = (): readonly string[] => [
          ...page.entries.map(textOf),
          ...(diary?.texts ?? []),
        ];
        await trial.until('all were read or heard of', () => heard().length >= 100);
        assert.deepEqual(heard(), (await readAll(trial.other)).map(textOf));
      });
    },
  },
  {
    name: 'tells a follower at the end that it is, about every second',
    prove: async (trial) => {
      await following(fromTheStart(trial.one), async ([diary]) => {
        await trial.until('it hears that it is current', () => (diary?.current ?? 0) > 0);
        await append(trial, trial.other, 'a');
        await trial.until('it hears of the entry', () => diary?.texts.length === 1);
        const told = diary?.current ?? 0;
        // Twice as long as promised, because the machine may be busy.
        await trial.until('it hears twice again', () => (diary?.current ?? 0) >= told + 2, 4_000);
        assert.equal(diary?.lost, 0);
      });
    },
  },
  {
    name: 'tells a follower from another log once that it is lost, and nothing after',
    prove: async (trial) => {
      const elsewhere = await trial.elsewhere();
      const entry = { data: 'a', expiresAt: trial.now() + MINUTE };
      const { position } = await elsewhere.append(entry);
      await append(trial, trial.one, 'b');
      await following([{ log: trial.one, after: position }], async ([diary]) => {
        await trial.until('it hears that it is lost', () => (diary?.lost ?? 0) > 0);
        await following(fromTheStart(trial.one), async ([fresh]) => {
          await append(trial, trial.other, 'c');
          await trial.until('a follower hears of the entry', () => fresh?.texts.length === 2);
        });
        assert.deepEqual([diary?.lost, diary?.texts, diary?.current], [1, [], 0]);
      });
    },
  },
  {
    name: 'tells a follower that has ended nothing, and the others go on, whatever one of them throws',
    prove: async (trial) => {
      const stop = trial.one.follow({
        after: null,
        onEntries: () => {
          throw new Error('a follower failed');
        },
        onCurrent: () => {},
        onLost: () => {},
      });
      await following(fromTheStart(trial.one, trial.one), async ([ended, kept]) => {
        ended?.stop();
        ended?.stop();
        const heard = ended?.current;
        await append(trial, trial.one, 'a');
        await append(trial, trial.other, 'b');
        await trial.until('the other hears of both', () => kept?.texts.length === 2);
        assert.deepEqual([ended?.texts, ended?.current], [[], heard]);
      });
      stop();
    },
  },
];

async function append(
  trial: Trial<RevocationLog>,
  log: RevocationLog,
  data: string,
): Promise<void> {
  await log.append({ data, expiresAt: trial.now() + MINUTE });
}

interface Start {
  readonly log: RevocationLog;
  readonly after: string | null;
}

function fromTheStart(...logs: readonly RevocationLog[]): readonly Start[] {
  return logs.map((log) => ({ log, after: null }));
}

/** Each from the end of the log as its own instance sees it. */
function fromTheirEnd(logs: readonly RevocationLog[]): Promise<readonly Start[]> {
  return Promise.all(
    logs.map(async (log) => ({ log, after: (await readAll(log)).at(-1)?.position ?? null })),
  );
}

/** Follows each of these while the work is done. */
async function following(
  starts: readonly Start[],
  work: (diaries: readonly Diary[]) => Promise<void>,
): Promise<void> {
  const diaries = starts.map(({ log, after }) => new Diary(log, after));
  try {
    await work(diaries);
  } finally {
    for (const diary of diaries) diary.stop();
  }
}
