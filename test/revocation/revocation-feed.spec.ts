import { setImmediate as nextTurn } from 'node:timers/promises';

import { digestOf } from '../../lib/revocation/revocation-entry.js';
import type { LogCompanion } from '../../lib/revocation/log-companion.js';
import { RevocationFeed } from '../../lib/revocation/revocation-feed.js';
import { RevocationIndex } from '../../lib/revocation/revocation-index.js';
import { type SecurityEvent, SecurityEvents } from '../../lib/events/security-events.js';
import { ISSUER } from '../support/guarded-app.js';
import { TestClock } from '../support/test-clock.js';
import { until } from './instances.js';
import { LOG_ERROR, SharedLog, TroubledLog } from './troubled-log.js';

const NOBODY: LogCompanion = {
  onOther: () => 'unreadable',
  onRevocation: () => {},
  beginRefill: () => {},
  missing: () => [],
};

const NOW = new TestClock().now();
const UNTIL = NOW + 3_600_000;
const digest = (name: string): string => digestOf('token', ISSUER, name);
const entry = (name: string): { data: string; expiresAt: number } => ({
  data: `t${digest(name)}${NOW.toString(36)}`,
  expiresAt: UNTIL,
});

let clock: TestClock;
let shared: SharedLog;
let log: TroubledLog;
let index: RevocationIndex;
let heard: SecurityEvent[];
let opened: RevocationFeed[];

beforeEach(() => {
  clock = new TestClock();
  shared = new SharedLog();
  log = new TroubledLog(shared);
  index = new RevocationIndex();
  heard = [];
  opened = [];
});

afterEach(() => {
  jest.useRealTimers();
  for (const feed of opened) feed.close();
});

async function open(
  companion: Partial<LogCompanion> = {},
  to: TroubledLog = log,
): Promise<RevocationFeed> {
  const events = new SecurityEvents();
  events.onAny((event) => heard.push(event));
  const feed = await RevocationFeed.open({
    log: to,
    index,
    clock,
    events,
    companion: { ...NOBODY, ...companion },
  });
  opened.push(feed);
  return feed;
}

const types = (): readonly string[] => heard.map(({ type }) => type);
const knows = (name: string): boolean =>
  index.find('token', digest(name), clock.now()) !== undefined;

/** Moves faked time until something has settled; what pauses in between does so in real time. */
async function settle<T>(work: Promise<T>): Promise<PromiseSettledResult<T>> {
  let outcome: PromiseSettledResult<T> | undefined;
  void Promise.allSettled([work]).then(([result]) => (outcome = result));
  await until(async () => {
    await jest.advanceTimersByTimeAsync(1_000);
    return outcome !== undefined;
  });
  if (outcome === undefined) throw new Error('it never settled');
  return outcome;
}

function fakeTime(): void {
  jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask', 'Date'] });
}

describe('opening', () => {
  it('resolves once the index holds all of the log, however many pages that takes', async () => {
    for (let number = 0; number < 25; number++) shared.add(entry(`jti-${number}`));
    log.pageSize = 4;
    await open();
    expect(index.size).toBe(25);
    expect(log.readCount).toBe(7);
  });

  it('goes on from the end it has read: nothing in between is missed', async () => {
    shared.add(entry('a'));
    log.onPage = () => {
      log.onPage = () => {};
      shared.add(entry('b'));
    };
    await open();
    await until(() => knows('b'));
    expect(index.size).toBe(2);
  });

  it('waits for a log that is not there yet', async () => {
    shared.add(entry('a'));
    log.reads = 'fail';
    const opening = open();
    await until(() => log.readCount === 2);
    log.reads = 'answered';
    await opening;
    expect(knows('a')).toBe(true);
  });

  it('gives up on a log that fails, and on one that hangs, after ten attempts', async () => {
    fakeTime();
    const hanging = new TroubledLog(shared);
    log.reads = 'fail';
    hanging.reads = 'hang';
    const outcome = await settle(Promise.allSettled([open(), open({}, hanging)]));
    const reason = {
      code: 'ERR_REVOCATION_UNAVAILABLE',
      message: 'The revocation log cannot be read.',
    };
    expect(outcome).toMatchObject({
      value: [
        { status: 'rejected', reason: { ...reason, cause: LOG_ERROR } },
        { status: 'rejected', reason: { ...reason, cause: { code: 'ERR_STORE_UNAVAILABLE' } } },
      ],
    });
    expect([log.readCount, hanging.readCount]).toEqual([10, 10]);
    expect([log.followers, hanging.followers]).toEqual([0, 0]);
  });

  it('reads anew a log that was replaced while it was read, and gives back what it had seen', async () => {
    for (const name of ['a', 'b', 'c']) shared.add(entry(name));
    log.pageSize = 1;
    log.onPage = () => {
      log.onPage = () => {};
      shared.wipe();
      shared.add(entry('d'));
    };
    await open();
    expect(['a', 'b', 'c', 'd'].map(knows)).toEqual([true, false, false, true]);
    await until(() => types().includes('revocation.refilled'));
    expect(shared.texts()).toEqual([entry('a').data, entry('d').data].toSorted());
    expect(types()).toEqual(['revocation.lost', 'revocation.refilled']);
  });
});

describe('catching up', () => {
  it('brings what was appended before it was asked for, although nobody is told', async () => {
    const feed = await open();
    log.news = 'kept back';
    shared.add(entry('a'));
    expect(knows('a')).toBe(false);
    await feed.catchUp();
    expect(knows('a')).toBe(true);
  });

  it('never answers from a read that began before it was asked for', async () => {
    const feed = await open();
    log.news = 'kept back';
    for (let round = 0; round < 50; round++) {
      const name = `jti-${round}`;
      // Others are reading at every stage while this one is appended.
      const others = Array.from({ length: 3 }, async (_, turns) => {
        for (let turn = 0; turn < turns; turn++) await nextTurn();
        await feed.catchUp();
      });
      for (let turn = 0; turn < round % 5; turn++) await nextTurn();
      shared.add(entry(name));
      await feed.catchUp();
      expect(knows(name)).toBe(true);
      await Promise.all(others);
    }
  });

  it('shares reads: a thousand at once need two', async () => {
    const feed = await open();
    const before = log.readCount;
    await Promise.all(Array.from({ length: 1_000 }, () => feed.catchUp()));
    expect(log.readCount - before).toBe(2);
  });

  it('rejects when the log fails, and works again when it does', async () => {
    const feed = await open();
    log.reads = 'fail';
    await expect(feed.catchUp()).rejects.toBe(LOG_ERROR);
    log.reads = 'answered';
    shared.add(entry('a'));
    await feed.catchUp();
    expect(knows('a')).toBe(true);
  });

  it('rejects when the log hangs, also those who asked later', async () => {
    const feed = await open();
    fakeTime();
    log.reads = 'hang';
    const outcomes = await settle(Promise.allSettled([feed.catchUp(), feed.catchUp()]));
    expect(outcomes).toMatchObject({
      value: [
        { status: 'rejected', reason: { code: 'ERR_STORE_UNAVAILABLE' } },
        { status: 'rejected', reason: { code: 'ERR_STORE_UNAVAILABLE' } },
      ],
    });
  });
});

describe('an entry that cannot be read', () => {
  const d = digest('x');
  const now = NOW.toString(36);

  it.each<[what: string, data: string, expiresAt?: number]>([
    ['is empty', ''],
    ['is of an unknown kind', `z${d}${now}`],
    ['has a kind that objects inherit', 'constructor'],
    ['has no digest', `t${now}`],
    ['has a digest of other characters', `t${d.slice(1)}!${now}`],
    ['has no instant', `t${d}`],
    ['has an endless instant', `t${d}${'z'.repeat(11)}`],
    ['has a negative instant', `t${d}-1`],
    ['has an instant of other characters', `u${d}1.5`],
    ['names something where nothing is named', `a${d}${now}`],
    ['ends at no instant', `t${d}${now}`, NaN],
    ['ends at a broken instant', `t${d}${now}`, UNTIL + 0.5],
    ['is long', 't'.repeat(1_024)],
  ])('is reported when it %s, and the others are read', async (_what, data, expiresAt = UNTIL) => {
    shared.add(entry('before'));
    shared.add({ data, expiresAt });
    shared.add(entry('after'));
    await open();
    expect([knows('before'), knows('after')]).toEqual([true, true]);
    expect(types()).toEqual(['revocation.unreadable']);
    shared.add({ data, expiresAt });
    shared.add(entry('later'));
    await until(() => knows('later'));
    expect(types()).toEqual(['revocation.unreadable', 'revocation.unreadable']);
    expect(index.size).toBe(3);
  });

  it('may be meant for somebody else, who is asked', async () => {
    const others: string[] = [];
    const feed = await open({
      onOther: ({ data }) => {
        others.push(data);
        return 'taken';
      },
    });
    shared.add({ data: 'iSomething', expiresAt: UNTIL });
    await feed.catchUp();
    expect(others).toContain('iSomething');
    expect(types()).toEqual([]);
  });

  it('keeps no other out, even if whoever it is meant for throws', async () => {
    const feed = await open({
      onOther: () => {
        throw new Error('poison');
      },
      onRevocation: () => {
        throw new Error('poison');
      },
    });
    shared.add({ data: 'poison', expiresAt: UNTIL });
    shared.add(entry('a'));
    shared.add(entry('b'));
    await feed.catchUp();
    expect([knows('a'), knows('b')]).toEqual([true, true]);
  });

  it('can hold any instant that is one, without harm to what is revoked later', async () => {
    const feed = await open();
    shared.add({ data: `u${d}${'z'.repeat(10)}`, expiresAt: UNTIL });
    shared.add({ data: `a${'z'.repeat(10)}`, expiresAt: UNTIL });
    shared.add({ data: `u${d}0`, expiresAt: Number.MAX_SAFE_INTEGER });
    shared.add(entry('a'));
    await feed.catchUp();
    expect(knows('a')).toBe(true);
    expect(types()).toEqual([]);
  });
});

describe('lag', () => {
  it('is the time since the end of the log was seen', async () => {
    const feed = await open();
    await nextTurn();
    log.news = 'kept back';
    expect(feed.lag).toBe(0);
    clock.advance(1_234.5);
    expect(feed.lag).toBe(1_234);
    // A primary that was cut off answers readers; only a follower can tell.
    await feed.catchUp();
    expect(feed.lag).toBe(1_234);
    clock.advance(7_000);
    log.news = 'told';
    shared.tell();
    expect(feed.lag).toBe(0);
  });

  it('counts from when a read began, not from when its answer came', async () => {
    log.news = 'kept back';
    log.onPage = () => clock.advance(3_000);
    const feed = await open();
    expect(feed.lag).toBe(3_000);
  });

  it('does not shrink when the clock is set back and time goes on', async () => {
    let elapsed = 5;
    const steady = Object.assign(new TestClock(), { elapsed: () => elapsed });
    const feed = await RevocationFeed.open({
      log,
      index,
      clock: steady,
      events: new SecurityEvents(),
      companion: NOBODY,
    });
    opened.push(feed);
    await nextTurn();
    log.news = 'kept back';
    steady.advance(-3_600_000);
    elapsed += 60_000;
    expect(feed.lag).toBe(60_000);
  });
});

describe('closing', () => {
  it('ends following, and a refill that is under way', async () => {
    const feed = await open();
    for (let number = 0; number < 300; number++)
      await feed.append({
        kind: 'token',
        digest: digest(`jti-${number}`),
        since: clock.now(),
        until: UNTIL,
      });
    log.appends = 'fail';
    shared.wipe();
    await until(() => types().includes('revocation.lost') && log.followers === 1);
    feed.close();
    expect(log.followers).toBe(0);
    log.appends = 'taken';
    await until(() => !feed.isRecovering);
    expect(shared.entries.length).toBeLessThan(300);
    expect(types()).not.toContain('revocation.refilled');
  });
});
