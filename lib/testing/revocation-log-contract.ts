import assert from 'node:assert/strict';

import type { LoggedRevocation, RevocationLog } from '../revocation/revocation-log.js';
import { unlessRefused } from './hostile-keys.js';
import type { Clause, Trial } from './trial.js';

const MINUTE = 60_000;
const DAY = 86_400_000;

/** Texts a log must give back as they were; the last one is as long as they get. */
const TEXTS: readonly string[] = [
  '',
  ' ',
  'null',
  '{"jti":"a \\"quoted\\" one"}',
  'äöü \u4e2d\u6587 \u{1f511} \u2028 a\u0308',
  'line\nbreak\r\n\0',
  '__proto__',
  'x'.repeat(1_020) + '\u{1f511}',
];

/** The contract of `RevocationLog`, but for its followers. */
export const revocationLogContract: readonly Clause<RevocationLog>[] = [
  {
    name: 'is empty at first, and has no position',
    prove: async ({ one }) => {
      const page = await one.read({ after: null, limit: 10 });
      assert.deepEqual(page, { verdict: 'read', entries: [], position: null, atEnd: true });
    },
  },
  {
    name: 'shows an entry to every instance as soon as it was acknowledged, in the order of appending',
    prove: async (trial) => {
      const texts: string[] = [];
      for (let index = 0; index < 30; index++) {
        const [writer, reader] = index % 2 ? [trial.one, trial.other] : [trial.other, trial.one];
        texts.push(`entry-${index}`);
        await writer.append({ data: `entry-${index}`, expiresAt: trial.now() + MINUTE });
        assert.deepEqual((await readAll(reader)).map(textOf), texts);
        assert.deepEqual((await readAll(writer)).map(textOf), texts);
      }
    },
  },
  {
    name: 'gives back every text as it was, up to 1 KiB, and its expiry up to 400 days ahead',
    prove: async (trial) => {
      const entries = TEXTS.map((data, index) => ({
        data,
        expiresAt: trial.now() + 399 * DAY + index,
      }));
      for (const entry of entries) await trial.one.append(entry);
      const read = await readAll(trial.other);
      assert.deepEqual(
        read.map(({ data, expiresAt }) => ({ data, expiresAt })),
        entries,
      );
    },
  },
  {
    name: 'names an entry by the position its append was answered with',
    prove: async (trial) => {
      const positions: string[] = [];
      for (const data of ['a', 'b', 'c']) {
        const expiresAt = trial.now() + MINUTE;
        positions.push((await trial.one.append({ data, expiresAt })).position);
      }
      assert.deepEqual((await readAll(trial.one)).map(positionOf), positions);
      const [first = null] = positions;
      assert.deepEqual((await readAll(trial.one, first)).map(textOf), ['b', 'c']);
    },
  },
  {
    name: 'is read in pages, which say when they are the last',
    prove: async (trial) => {
      const appended = await appendMany(trial, 23);
      for (const limit of [1, 7, 22, 23, 24, 1_000]) {
        const read: string[] = [];
        let position: string | null = null;
        for (let atEnd = false; !atEnd;) {
          const page = await trial.other.read({ after: position, limit });
          assert.equal(page.verdict, 'read');
          assert.ok(page.entries.length <= limit, `${page.entries.length} entries, not ${limit}`);
          assert.ok(page.entries.length > 0 || page.atEnd, 'a page is empty, but not the last');
          read.push(...page.entries.map(textOf));
          ({ position, atEnd } = page);
        }
        assert.deepEqual(read, appended, `in pages of ${limit}`);
        assert.deepEqual(await readAll(trial.other, position), [], 'there is more after the end');
      }
    },
  },
  {
    name: 'keeps 200 parallel appends of two instances, and the order it showed them in',
    prove: async (trial) => {
      await trial.parallel(200, (log, index) =>
        log.append({ data: `entry-${index}`, expiresAt: trial.now() + MINUTE }),
      );
      for (const log of [trial.one, trial.other]) {
        const entries = await readAll(log);
        assert.equal(new Set(entries.map(textOf)).size, 200, 'an entry is missing');
        assert.equal(entries.length, 200, 'an entry is there twice');
        assert.deepEqual(await readAll(log, null, 7), entries);
      }
    },
  },
  {
    name: 'misses nothing and repeats nothing for a reader that goes on while entries are appended',
    prove: async (trial) => {
      const read: string[] = [];
      let appending = true;
      const reading = async (): Promise<void> => {
        let position: string | null = null;
        for (let last = false; !last;) {
          // Asked before the page is, so that the last page holds whatever was appended.
          last = !appending;
          for (let atEnd = false; !atEnd;) {
            const page = await trial.other.read({ after: position, limit: 5 });
            assert.equal(page.verdict, 'read');
            read.push(...page.entries.map(textOf));
            ({ position, atEnd } = page);
          }
        }
      };
      const reader = reading();
      for (let round = 0; round < 10; round++) {
        await trial.parallel(20, (log, index) =>
          log.append({ data: `entry-${round}-${index}`, expiresAt: trial.now() + MINUTE }),
        );
      }
      appending = false;
      await reader;
      assert.equal(new Set(read).size, 200, 'an entry was missed');
      assert.equal(read.length, 200, 'an entry was read twice');
      assert.deepEqual(read, (await readAll(trial.other)).map(textOf), 'the order is another now');
    },
  },
  {
    name: 'takes the same text again',
    prove: async (trial) => {
      const entry = { data: 'same', expiresAt: trial.now() + MINUTE };
      await assert.doesNotReject(trial.parallel(4, (log) => log.append(entry)));
      await trial.pass(2);
      await trial.one.append({ ...entry, data: 'last' });
      const texts = (await readAll(trial.other)).map(textOf);
      assert.deepEqual(new Set(texts), new Set(['same', 'last']));
      assert.equal(texts.at(-1), 'last');
    },
  },
  {
    name: 'lets entries vanish within five minutes after they expired, and no others',
    prove: async (trial) => {
      const soon = trial.now() + 100;
      await trial.one.append({ data: 'long', expiresAt: trial.now() + 10 * MINUTE });
      await trial.one.append({ data: 'short', expiresAt: soon });
      await trial.other.append({ data: 'longer', expiresAt: trial.now() + 20 * MINUTE });
      await trial.pass(Math.max(0, soon - trial.now()) + 1);
      const mustVanish = await trial.passMargin();
      await trial.other.append({ data: 'last', expiresAt: trial.now() + MINUTE });
      await trial.until('the expired entry vanishes', async () => {
        const texts = (await readAll(trial.one)).map(textOf);
        assert.deepEqual(
          texts.filter((text) => text !== 'short'),
          ['long', 'longer', 'last'],
        );
        return !mustVanish || !texts.includes('short');
      });
    },
  },
  {
    name: 'still knows the position of an entry that expired, and goes on from there',
    prove: async (trial) => {
      const soon = trial.now() + 100;
      const { position } = await trial.one.append({ data: 'short', expiresAt: soon });
      await trial.pass(Math.max(0, soon - trial.now()) + 1);
      if (await trial.passMargin()) {
        await trial.until('the expired entry vanishes', async () => {
          return (await readAll(trial.one)).length === 0;
        });
      }
      assert.deepEqual(await readAll(trial.one, position), []);
      await trial.other.append({ data: 'next', expiresAt: trial.now() + MINUTE });
      assert.deepEqual((await readAll(trial.one, position)).map(textOf), ['next']);
    },
  },
  {
    name: 'is not harmed by an entry that expired before it came',
    prove: async (trial) => {
      await trial.one.append({ data: 'a', expiresAt: trial.now() + MINUTE });
      for (const expiresAt of [trial.now() - 1, 0]) {
        await unlessRefused(() => trial.one.append({ data: 'expired', expiresAt }));
      }
      await trial.one.append({ data: 'b', expiresAt: trial.now() + MINUTE });
      const texts = (await readAll(trial.other)).map(textOf);
      assert.deepEqual(
        texts.filter((text) => text !== 'expired'),
        ['a', 'b'],
      );
    },
  },
  {
    name: 'says lost to the position of another log',
    prove: async (trial) => {
      const strange = await trial.elsewhere();
      const entry = { data: 'a', expiresAt: trial.now() + MINUTE };
      const { position } = await strange.append(entry);
      assert.deepEqual(await trial.one.read({ after: position, limit: 10 }), { verdict: 'lost' });
      for (let index = 0; index < 3; index++) await trial.one.append(entry);
      assert.deepEqual(await trial.other.read({ after: position, limit: 10 }), { verdict: 'lost' });
    },
  },
  {
    name: 'never goes on from a position that is none',
    prove: async (trial) => {
      const expiresAt = trial.now() + MINUTE;
      const { position } = await trial.one.append({ data: 'a', expiresAt });
      const wrong = ['', '0', '-', '+', '$', '*', '__proto__', `${position}9`, `${position}\n`];
      for (const after of [...wrong, position.slice(1), 'x'.repeat(100_000)]) {
        const page = await unlessRefused(() => trial.other.read({ after, limit: 10 }));
        assert.notEqual(page?.verdict, 'read', `went on after ${JSON.stringify(after)}`);
      }
    },
  },
];

/** What holds of a `RevocationLog` that has one order for all instances. */
export const sharedOrderContract: readonly Clause<RevocationLog>[] = [
  {
    name: 'has one order and one position of each entry for all instances, also of parallel appends',
    prove: async (trial) => {
      const positions = await trial.parallel(100, async (log, index) => {
        const entry = { data: `entry-${index}`, expiresAt: trial.now() + MINUTE };
        return (await log.append(entry)).position;
      });
      const entries = await readAll(trial.one);
      assert.deepEqual(new Set(entries.map(positionOf)), new Set(positions));
      assert.deepEqual(await readAll(trial.other), entries);
    },
  },
  {
    name: 'goes on from the position that another instance got, also of an entry that vanished',
    prove: async (trial) => {
      const soon = trial.now() + 100;
      const { position } = await trial.one.append({ data: 'short', expiresAt: soon });
      await trial.one.append({ data: 'next', expiresAt: trial.now() + MINUTE });
      assert.deepEqual((await readAll(trial.other, position)).map(textOf), ['next']);
      await trial.pass(Math.max(0, soon - trial.now()) + 1);
      assert.deepEqual((await readAll(trial.other, position)).map(textOf), ['next']);
    },
  },
];

/** What holds of a `RevocationLog` that every instance sees in an order of its own. */
export const ownOrderContract: readonly Clause<RevocationLog>[] = [
  {
    name: 'says lost to the position of another instance, rather than skip what that one had seen',
    prove: async (trial) => {
      await appendMany(trial, 3);
      for (const { position } of await readAll(trial.one)) {
        const page = await trial.other.read({ after: position, limit: 10 });
        assert.deepEqual(page, { verdict: 'lost' });
      }
    },
  },
];

/** What holds of `RevocationLog` after the backend lost everything. */
export const revocationLogWipeContract: readonly Clause<RevocationLog>[] = [
  {
    name: 'says lost to a position from before it was wiped, however much was appended since',
    prove: async (trial) => {
      const entry = { data: 'a', expiresAt: trial.now() + MINUTE };
      await trial.one.append(entry);
      const logs = [trial.one, trial.other];
      const before = await Promise.all(
        logs.map(async (log) => ({ log, after: (await readAll(log)).at(-1)?.position ?? '' })),
      );
      await trial.wipe();
      const assertLost = async (): Promise<void> => {
        for (const { log, after } of before) {
          await trial.until('the store answers that the log was lost', async () => {
            const page = await unlessRefused(() => log.read({ after, limit: 10 }));
            assert.notEqual(page?.verdict, 'read', 'went on as if nothing were lost');
            return page !== undefined;
          });
        }
      };
      await assertLost();
      for (let index = 0; index < 5; index++) await trial.one.append(entry);
      await assertLost();
      assert.ok((await readAll(trial.other)).length > 0, 'it cannot be read from the start');
    },
  },
];

/** All entries after a position, read in pages. */
export async function readAll(
  log: RevocationLog,
  after: string | null = null,
  limit = 100,
): Promise<readonly LoggedRevocation[]> {
  const entries: LoggedRevocation[] = [];
  for (let position = after; ;) {
    const page = await log.read({ after: position, limit });
    assert.equal(page.verdict, 'read', `lost after ${entries.length} entries`);
    entries.push(...page.entries);
    if (page.atEnd) return entries;
    ({ position } = page);
  }
}

/** Appends so many entries one after the other; answers their texts. */
export async function appendMany(
  trial: Trial<RevocationLog>,
  count: number,
): Promise<readonly string[]> {
  const texts = Array.from({ length: count }, (_, index) => `entry-${index}`);
  for (const data of texts) {
    await trial.one.append({ data, expiresAt: trial.now() + MINUTE });
  }
  return texts;
}

export function textOf(entry: LoggedRevocation): string {
  return entry.data;
}

function positionOf(entry: LoggedRevocation): string {
  return entry.position;
}
