import assert from 'node:assert/strict';

import type { SessionStore } from '../sessions/session-store.js';
import { unlessRefused } from './hostile-keys.js';
import { createAll, idsOf, SessionUnderTest } from './session-mother.js';
import type { Clause, Trial } from './trial.js';

const HOUR = 3_600_000;

/** Within the alphabet of owners and ids, and still hostile to what indexes by them. */
const HOSTILE_NAMES: readonly string[] = [
  '__proto__',
  'constructor',
  'toString',
  '0',
  '-',
  '_',
  '--',
  'a',
  'A',
  'null',
  'x'.repeat(127),
  'x'.repeat(128),
];

/** Outside the alphabet or the length: to be refused, or told apart. */
const NAMES_OUT_OF_BOUNDS: readonly string[] = [
  '',
  ' ',
  'a:b',
  '{a}',
  '}{a',
  'a*',
  'a/../b',
  'a\nb',
  'a\0b',
  'ä',
  '\u{1f511}',
  'x'.repeat(129),
];

/** The contract of `SessionStore`, but for `find`, `rotate` and the room that `create` makes. */
export const sessionStoreContract: readonly Clause<SessionStore>[] = [
  {
    name: 'keeps a new session, for every instance to see',
    prove: async (trial) => {
      const session = new SessionUnderTest('owner', 'id', 'binding');
      const before = trial.now();
      assert.deepEqual(
        await session.create(trial.one, { idleFor: HOUR, absoluteFor: 3 * HOUR }),
        [],
      );
      const [record, ...others] = await trial.other.list('owner');
      assert.ok(record !== undefined && others.length === 0, 'not one session');
      const { createdAt } = record;
      assert.ok(Math.abs(createdAt - before) < HOUR, 'createdAt is no time of day');
      assert.deepEqual(record, {
        key: { owner: 'owner', id: 'id' },
        data: 'data',
        createdAt,
        lastUsedAt: createdAt,
        absoluteExpiresAt: createdAt + 3 * HOUR,
        idleFor: HOUR,
        generation: 0,
      });
    },
  },
  {
    name: 'stores a session once, of 50 created at once with one key',
    prove: async (trial) => {
      const session = new SessionUnderTest('owner', 'id');
      const created = await trial.parallel(50, (store) => session.create(store));
      const stored = created.filter((ended) => ended !== null);
      assert.deepEqual(stored, [[]], 'not exactly one was told it was stored');
      assert.equal(await session.create(trial.other), null);
      assert.equal((await trial.one.list('owner')).length, 1);
    },
  },
  {
    name: 'leaves a session as it is when another is to be created in its place',
    prove: async (trial) => {
      const session = new SessionUnderTest('owner', 'id');
      await session.create(trial.one);
      const before = await trial.one.list('owner');
      const usurper = { ...session.token(0), secret: 'usurper', lineage: 'usurper', binding: 'x' };
      const request = { ...usurper, data: 'other', idleFor: 1, absoluteFor: 1, atMost: 1 };
      assert.equal(await trial.other.create(request), null);
      assert.deepEqual(await trial.one.list('owner'), before);
      assert.equal((await session.rotate(trial.one, 0)).verdict, 'rotated');
    },
  },
  {
    name: 'gives back data as it was, up to 4 KiB',
    prove: async (trial) => {
      const texts = [
        '',
        '{"a":"\\"b\\""}',
        'ä \u{1f511}\r\n\0 \u2028',
        'x'.repeat(4_092) + '\u{1f511}',
      ];
      for (const [index, data] of texts.entries()) {
        const { key, lineage, secret, binding } = new SessionUnderTest('owner', `${index}`).token(
          0,
        );
        const limits = { idleFor: HOUR, absoluteFor: HOUR, atMost: 1_000 };
        await trial.one.create({ key, lineage, secret, binding, data, ...limits });
        const records = await trial.other.list('owner');
        assert.equal(records.find((record) => record.key.id === key.id)?.data, data);
      }
    },
  },
  {
    name: 'lists the sessions of an owner, oldest first, and of nobody else',
    prove: async (trial) => {
      const ids = ['c', 'a', 'b', '9', '10'];
      for (const id of ids) {
        await new SessionUnderTest('owner', id).create(trial.one);
        await new SessionUnderTest('neighbour', id).create(trial.other);
        await trial.pass(2);
      }
      await new SessionUnderTest('owner', 'a').rotate(trial.other, 0);
      assert.deepEqual(await idsOf(trial.other, 'owner'), ids);
      assert.deepEqual(await trial.one.list('own'), []);
      assert.deepEqual(await trial.one.list('owner2'), []);
    },
  },
  {
    name: 'ends a session for every instance, and says so to one of 50 that end it',
    prove: async (trial) => {
      const [session, other] = await createAll(trial, ['a', 'b']);
      const ended = await trial.parallel(50, (store) => store.end({ owner: 'owner', id: 'a' }));
      assert.equal(ended.filter(Boolean).length, 1, 'not exactly one was told it ended it');
      assert.deepEqual(await session?.rotate(trial.other, 0), { verdict: 'unknown' });
      assert.deepEqual(await idsOf(trial.one, 'owner'), ['b']);
      assert.equal((await other?.rotate(trial.one, 0))?.verdict, 'rotated');
      assert.equal(
        await trial.one.end({ owner: 'owner', id: 'never there' }).catch(() => false),
        false,
      );
      assert.equal(await trial.one.end({ owner: 'neighbour', id: 'b' }), false);
      assert.deepEqual(await idsOf(trial.one, 'owner'), ['b']);
    },
  },
  {
    name: 'ends all sessions of an owner but one, and answers which',
    prove: async (trial) => {
      const sessions = await createAll(trial, ['a', 'b', 'c', 'd']);
      await new SessionUnderTest('neighbour', 'a').create(trial.one);
      await trial.one.end({ owner: 'owner', id: 'd' });
      const ended = await trial.other.endAll({ owner: 'owner', except: 'b' });
      assert.deepEqual(ended.toSorted(), ['a', 'c']);
      assert.deepEqual(await idsOf(trial.one, 'owner'), ['b']);
      const verdicts = await Promise.all(sessions.map((session) => session.rotate(trial.one, 0)));
      assert.deepEqual(
        verdicts.map(({ verdict }) => verdict),
        ['unknown', 'rotated', 'unknown', 'unknown'],
      );
      assert.deepEqual(await trial.one.endAll({ owner: 'owner', except: null }), ['b']);
      assert.deepEqual(await trial.one.endAll({ owner: 'owner', except: null }), []);
      assert.deepEqual(await trial.one.endAll({ owner: 'nobody', except: null }), []);
      assert.deepEqual(await idsOf(trial.other, 'neighbour'), ['a']);
    },
  },
  {
    name: 'ends all sessions although no session has the id that is to stay',
    prove: async (trial) => {
      await createAll(trial, ['a', 'b']);
      const ended = await trial.one.endAll({ owner: 'owner', except: 'c' });
      assert.deepEqual(ended.toSorted(), ['a', 'b']);
    },
  },
  {
    name: 'ends each session once, of instances that end all at once',
    prove: async (trial) => {
      const ids = Array.from({ length: 20 }, (_, index) => `id-${index}`);
      await createAll(trial, ids);
      const ended = await trial.parallel(10, (store) =>
        store.endAll({ owner: 'owner', except: 'id-7' }),
      );
      assert.deepEqual(ended.flat().toSorted(), ids.filter((id) => id !== 'id-7').toSorted());
    },
  },
  {
    name: 'lets no session survive the end of all by being rotated meanwhile',
    prove: async (trial) => {
      const ids = Array.from({ length: 10 }, (_, index) => `id-${index}`);
      const sessions = await createAll(trial, ids);
      const rotating = sessions.map(async (session, index) => {
        for (let generation = 0; ; generation++) {
          const store = index % 2 ? trial.one : trial.other;
          if ((await session.rotate(store, generation)).verdict !== 'rotated') return generation;
          // A session that goes on after this many rotations was never ended.
          assert.ok(generation < 2_000, 'a session went on');
        }
      });
      const ended = await trial.other.endAll({ owner: 'owner', except: null });
      assert.deepEqual(ended.toSorted(), ids.toSorted());
      await Promise.all(rotating);
      assert.deepEqual(await trial.one.list('owner'), []);
    },
  },
  {
    name: 'ends a session that is not used in time, and only then',
    prove: (trial) =>
      trial.within(async (window, open) => {
        const session = new SessionUnderTest('owner', `${window}`);
        const assertFirstOpen = open();
        await session.create(trial.one, { idleFor: window });
        await trial.pass(window * 0.6);
        const assertSecondOpen = open();
        const { verdict } = await session.rotate(trial.other, 0);
        assertFirstOpen();
        assert.equal(verdict, 'rotated');
        await trial.pass(window * 0.6);
        const live = await idsOf(trial.one, 'owner');
        assertSecondOpen();
        assert.deepEqual(live, [`${window}`], 'use did not keep it alive');
        await trial.pass(window);
        await assertGone(trial, session, 1);
      }),
  },
  {
    name: 'ends a session when its time is over, however often it is used',
    prove: (trial) =>
      trial.within(async (window, open) => {
        const session = new SessionUnderTest('owner', `${window}`);
        const assertOpen = open();
        await session.create(trial.one, { absoluteFor: window });
        // A trial that was too slow is taken again, beside the session of the one before.
        const live = await trial.one.list('owner');
        const created = live.find(({ key }) => key.id === `${window}`);
        for (let generation = 0; generation < 3; generation++) {
          await trial.pass(window / 5);
          const rotation = await session.rotate(trial.other, generation);
          assertOpen();
          assert.equal(rotation.verdict, 'rotated');
          assert.equal(rotation.session.absoluteExpiresAt, created?.absoluteExpiresAt);
        }
        await trial.pass((window * 2) / 5);
        await assertGone(trial, session, 3);
      }),
  },
  {
    name: 'counts live sessions, of all owners, and the owners that have one',
    prove: async (trial) => {
      assert.deepEqual(await trial.one.count(), { sessions: 0, owners: 0 });
      await createAll(trial, ['a', 'b', 'c']);
      await new SessionUnderTest('neighbour', 'a').create(trial.other);
      await new SessionUnderTest('brief', 'a').create(trial.other, { idleFor: 20 });
      await new SessionUnderTest('gone', 'a').create(trial.one);
      await trial.one.end({ owner: 'owner', id: 'c' });
      await trial.one.endAll({ owner: 'gone', except: null });
      await trial.pass(21);
      assert.deepEqual(await trial.other.count(), { sessions: 3, owners: 2 });
    },
  },
  {
    name: 'tells hostile owners and ids apart',
    prove: async (trial) => {
      for (const name of HOSTILE_NAMES) {
        assert.deepEqual(await trial.one.list(name), [], name);
        assert.deepEqual(await new SessionUnderTest(name, 'id').create(trial.one), [], name);
        assert.deepEqual(await new SessionUnderTest('owner', name).create(trial.other), [], name);
      }
      assert.deepEqual((await idsOf(trial.one, 'owner')).toSorted(), HOSTILE_NAMES.toSorted());
      for (const name of HOSTILE_NAMES) {
        assert.deepEqual(await idsOf(trial.other, name), ['id'], name);
        const { verdict } = await new SessionUnderTest(name, 'id').rotate(trial.other, 0);
        assert.equal(verdict, 'rotated', name);
        assert.equal(await trial.one.end({ owner: 'owner', id: name }), true, name);
      }
      assert.deepEqual(await trial.other.list('owner'), []);
      for (const owner of HOSTILE_NAMES) {
        assert.deepEqual(await trial.one.endAll({ owner, except: null }), ['id'], owner);
      }
    },
  },
  {
    name: 'refuses owners and ids outside the alphabet, or tells them apart',
    prove: async (trial) => {
      const names = [...NAMES_OUT_OF_BOUNDS, 'a', 'b', 'x'.repeat(128)];
      const sessions = names.flatMap((owner) => names.map((id) => new SessionUnderTest(owner, id)));
      const kept: SessionUnderTest[] = [];
      for (const session of sessions) {
        const created = await unlessRefused(() => session.create(trial.one));
        assert.notEqual(created, null, `${JSON.stringify(session.key)} is taken for another`);
        if (Array.isArray(created)) kept.push(session);
      }
      for (const session of kept) {
        const { verdict } = await session.rotate(trial.other, 0);
        assert.equal(verdict, 'rotated', JSON.stringify(session.key));
      }
      for (const session of kept) {
        assert.equal(await trial.one.end(session.key), true, JSON.stringify(session.key));
      }
      assert.deepEqual(await trial.one.count(), { sessions: 0, owners: 0 });
    },
  },
];

/** A session that has expired is like one that never was. */
async function assertGone(
  trial: Trial<SessionStore>,
  session: SessionUnderTest,
  generation: number,
): Promise<void> {
  assert.deepEqual(await session.rotate(trial.other, generation), { verdict: 'unknown' });
  assert.deepEqual(await trial.one.list(session.key.owner), []);
  assert.deepEqual(await trial.one.count(), { sessions: 0, owners: 0 });
  assert.equal(await trial.one.end(session.key), false);
  assert.deepEqual(await trial.other.endAll({ owner: session.key.owner, except: null }), []);
}
