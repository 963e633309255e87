import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import * as fc from 'fast-check';

import { writeRevocation } from '../../../lib/revocation/revocation-entry.js';
import { writeAllocation } from '../../../lib/status-list/allocation-entry.js';
import { MemoryAttemptStore } from '../../../lib/storage/memory/memory-attempt-store.js';
import { MemoryReplayStore } from '../../../lib/storage/memory/memory-replay-store.js';
import { MemoryRevocationLog } from '../../../lib/storage/memory/memory-revocation-log.js';
import { MemorySessionStore } from '../../../lib/storage/memory/memory-session-store.js';
import { TestClock } from '../../support/test-clock.js';

const MAX = 20;
const MINUTE = 60_000;
const FULL = { code: 'ERR_STORE_FULL' };

/** The collector, called by hand: what it has not taken yet says nothing. */
setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

function heapInUse(): number {
  collectGarbage();
  return process.memoryUsage().heapUsed;
}

let clock: TestClock;

beforeEach(() => {
  clock = new TestClock();
});

interface Filled {
  /** Adds the n-th entry, which lives for so long. */
  readonly add: (n: number, ms: number) => Promise<unknown>;
  readonly size: () => number;
}

const STORES: readonly (readonly [string, (max: number) => Filled])[] = [
  [
    'MemoryReplayStore',
    (max) => {
      const store = new MemoryReplayStore(max, clock);
      const add = (n: number, ms: number) =>
        store.claimOnce({ key: `${n}`, expiresAt: clock.now() + ms });
      return { add, size: () => store.size };
    },
  ],
  [
    'MemoryAttemptStore',
    (max) => {
      const store = new MemoryAttemptStore(max, clock);
      const add = (n: number, window: number) =>
        store.record({ key: `${n}`, window, runsFrom: n % 2 ? 'first' : 'last' });
      return { add, size: () => store.size };
    },
  ],
  [
    'MemoryRevocationLog',
    (max) => {
      const store = new MemoryRevocationLog(max, clock);
      const add = (n: number, ms: number) =>
        store.append({ data: `${n}`, expiresAt: clock.now() + ms });
      return { add, size: () => store.size };
    },
  ],
  [
    'MemorySessionStore',
    (max) => {
      const store = new MemorySessionStore(max, clock);
      const texts = { lineage: 'lineage', secret: 'secret', binding: null, data: '' };
      const add = (n: number, ms: number) => {
        const key = { owner: `owner-${n % 7}`, id: `${n}` };
        return store.create({ key, ...texts, idleFor: ms, absoluteFor: MINUTE, atMost: 1_000 });
      };
      return { add, size: () => store.size };
    },
  ],
];

describe.each(STORES)('%s', (_name, make) => {
  it('denies what comes when it is full, and takes it once something expired', async () => {
    const { add, size } = make(MAX);
    for (let n = 0; n < MAX; n++) await add(n, n === 7 ? 1_000 : MINUTE);
    await expect(add(MAX, MINUTE)).rejects.toMatchObject(FULL);
    await expect(add(MAX, MINUTE)).rejects.toMatchObject(FULL);
    expect(size()).toBe(MAX);
    clock.advance(1_000);
    await add(MAX, MINUTE);
    await expect(add(MAX + 1, MINUTE)).rejects.toMatchObject(FULL);
    expect(size()).toBe(MAX);
  });

  it('names neither keys nor contents when it is full', async () => {
    const { add } = make(1);
    await add(271_828, MINUTE);
    await expect(add(314_159, MINUTE)).rejects.toThrow(/^(?!.*(?:271828|314159)).*maxEntries/);
  });

  it('never holds more than it may, and never denies while there is room', async () => {
    const lives = fc.array(
      fc.record({ lives: fc.integer({ min: 1, max: 5_000 }), wait: fc.nat({ max: 200 }) }),
      { maxLength: 200, size: 'max' },
    );
    await fc.assert(
      fc.asyncProperty(lives, async (life) => {
        const { add, size } = make(MAX);
        let standing: number[] = [];
        for (const [n, step] of life.entries()) {
          clock.advance(step.wait);
          const now = clock.now();
          standing = standing.filter((expiresAt) => expiresAt > now);
          const hasRoom = standing.length < MAX;
          const taken = await add(n, step.lives).then(
            () => true,
            () => false,
          );
          expect(taken).toBe(hasRoom);
          if (taken) standing.push(now + step.lives);
          expect(size()).toBeLessThanOrEqual(MAX);
          expect(size()).toBeGreaterThanOrEqual(standing.length);
        }
      }),
      { numRuns: 20 },
    );
  });

  it('sweeps what expired while it is used: it holds little more than what lives', async () => {
    const { add, size } = make(100_000);
    for (let n = 0; n < 2_000; n++) await add(n, 1_000);
    clock.advance(1_000);
    for (let n = 2_000; n < 2_200; n++) await add(n, 10_000);
    expect(size()).toBe(200);
  });

  it('lets go of a bounded number per call, so that no call takes long', async () => {
    const { add, size } = make(100_000);
    for (let n = 0; n < 5_000; n++) await add(n, 1_000);
    clock.advance(1_000);
    await add(5_000, 1_000);
    expect(size()).toBeGreaterThan(4_900);
    expect(size()).toBeLessThan(5_000);
  });
});

describe('a full store', () => {
  it('still counts attempts of keys it knows, and still answers of others', async () => {
    const store = new MemoryAttemptStore(2, clock);
    const attempt = { window: MINUTE, runsFrom: 'first' } as const;
    for (const key of ['a', 'b']) await store.record({ key, ...attempt });
    await expect(store.record({ key: 'c', ...attempt })).rejects.toMatchObject(FULL);
    expect((await store.record({ key: 'a', ...attempt })).count).toBe(2);
    expect((await store.read('c')).count).toBe(0);
    await store.clear('a');
    expect((await store.record({ key: 'c', ...attempt })).count).toBe(1);
  });

  it('still refuses a claimed key, and grants none it cannot remember', async () => {
    const store = new MemoryReplayStore(1, clock);
    const expiresAt = clock.now() + MINUTE;
    await store.claimOnce({ key: 'a', expiresAt });
    expect(await store.claimOnce({ key: 'a', expiresAt })).toBe(false);
    await expect(store.claimOnce({ key: 'b', expiresAt })).rejects.toMatchObject(FULL);
    clock.advance(MINUTE);
    expect(await store.claimOnce({ key: 'b', expiresAt: expiresAt + MINUTE })).toBe(true);
  });

  it('takes the session of an owner whose oldest ends for it, and of no other', async () => {
    const store = new MemorySessionStore(1, clock);
    const token = { lineage: 'lineage', secret: '0', binding: null, data: '' };
    const limits = { idleFor: MINUTE, absoluteFor: MINUTE, atMost: 1 };
    const begin = (owner: string, id: string) =>
      store.create({ key: { owner, id }, ...token, ...limits });
    await begin('owner', 'a');
    await expect(begin('other', 'a')).rejects.toMatchObject(FULL);
    expect(await begin('owner', 'b')).toEqual(['a']);
    expect(store.size).toBe(1);
  });

  it('remembers a misused session for a day, not for as long as it could have lasted', async () => {
    const store = new MemorySessionStore(1, clock);
    const DAY = 86_400_000;
    const key = { owner: 'owner', id: 'a' };
    const token = { key, lineage: 'lineage', secret: '0', binding: null };
    await store.create({ ...token, data: '', idleFor: 30 * DAY, absoluteFor: 30 * DAY, atMost: 1 });
    const present = (secret: string) =>
      store.rotate({
        presented: { ...token, secret },
        next: { secret: '1', sealed: '', data: null },
        graceFor: 0,
        askedAt: null,
      });
    expect(await present('forged')).toMatchObject({ verdict: 'reused', misuse: 'unknown' });
    clock.advance(DAY - 1);
    expect(await present('0')).toMatchObject({ verdict: 'ended', misuse: 'unknown' });
    clock.advance(1);
    expect(await present('0')).toEqual({ verdict: 'unknown' });
    expect(store.size).toBe(0);
  });

  it('still rotates and ends sessions, which makes room', async () => {
    const store = new MemorySessionStore(1, clock);
    const key = { owner: 'owner', id: 'a' };
    const token = { key, lineage: 'lineage', secret: '0', binding: null };
    const lifetimes = { data: '', idleFor: MINUTE, absoluteFor: MINUTE, atMost: 2 };
    await store.create({ ...token, ...lifetimes });
    const other = { ...token, key: { owner: 'owner', id: 'b' }, ...lifetimes };
    await expect(store.create(other)).rejects.toMatchObject(FULL);
    for (let generation = 0; generation < 1_000; generation++) {
      const presented = { ...token, secret: `${generation}` };
      const next = { secret: `${generation + 1}`, sealed: '', data: null };
      const { verdict } = await store.rotate({ presented, next, graceFor: 0, askedAt: null });
      expect(verdict).toBe('rotated');
    }
    expect(await store.end(key)).toBe(true);
    expect(await store.create(other)).toEqual([]);
  });
});

describe('a log that logins filled with places in status lists', () => {
  // As they are really written: the store knows them by how they begin.
  const names = { subject: 'A'.repeat(13), key: 'A'.repeat(13), session: undefined };
  const digest = (n: number): string => `${n}`.padStart(13, 'A');
  const place = (n: number): string =>
    writeAllocation({
      list: { start: 1, period: 1, number: 0 },
      index: n,
      token: { ...names, token: digest(n), issuedAt: 1, era: 0 },
      until: 1,
    }).data;
  const revocation = (n: number): string =>
    writeRevocation({ kind: 'token', digest: digest(n), since: 1, until: 1 }).data;

  it('still takes revocations: a quarter of it is theirs', async () => {
    const log = new MemoryRevocationLog(MAX, clock);
    const append = (data: string) => log.append({ data, expiresAt: clock.now() + MINUTE });
    for (let n = 0; n < 15; n++) await append(place(n));
    await expect(append(place(15))).rejects.toMatchObject(FULL);
    for (let n = 0; n < 5; n++) await append(revocation(n));
    await expect(append(revocation(5))).rejects.toMatchObject(FULL);
    expect(log.size).toBe(MAX);
  });

  it('takes revocations wherever there is room, and places only while a quarter is free', async () => {
    const log = new MemoryRevocationLog(MAX, clock);
    const append = (data: string, ms = MINUTE) => log.append({ data, expiresAt: clock.now() + ms });
    for (let n = 0; n < 15; n++) await append(revocation(n), n === 0 ? 1_000 : MINUTE);
    await expect(append(place(0))).rejects.toMatchObject(FULL);
    clock.advance(1_000);
    await append(place(1));
    for (let n = 0; n < 5; n++) await append(revocation(n));
    await expect(append(revocation(5))).rejects.toMatchObject(FULL);
  });
});

describe('what one entry may weigh', () => {
  const x = (length: number): string => 'x'.repeat(length);

  it.each<[what: string, call: () => Promise<unknown>]>([
    [
      'a claimed key',
      () => new MemoryReplayStore(MAX, clock).claimOnce({ key: x(513), expiresAt: 8e15 }),
    ],
    [
      'a claim for ever',
      () => new MemoryReplayStore(MAX, clock).claimOnce({ key: 'a', expiresAt: Infinity }),
    ],
    [
      'a counted key',
      () => new MemoryAttemptStore(MAX, clock).record({ key: x(513), window: 1, runsFrom: 'last' }),
    ],
    [
      'a window of no length',
      () => new MemoryAttemptStore(MAX, clock).record({ key: 'a', window: NaN, runsFrom: 'last' }),
    ],
    [
      'a window for ever',
      () =>
        new MemoryAttemptStore(MAX, clock).record({ key: 'a', window: Infinity, runsFrom: 'last' }),
    ],
    [
      'a window of more than 400 days',
      () =>
        new MemoryAttemptStore(MAX, clock).record({
          key: 'a',
          window: 401 * 86_400_000,
          runsFrom: 'last',
        }),
    ],
    [
      'a revocation',
      () => new MemoryRevocationLog(MAX, clock).append({ data: x(1_025), expiresAt: 8e15 }),
    ],
    [
      'a revocation for ever',
      () => new MemoryRevocationLog(MAX, clock).append({ data: 'a', expiresAt: Infinity }),
    ],
    [
      'a page of no size',
      () => new MemoryRevocationLog(MAX, clock).read({ after: null, limit: 0 }),
    ],
    [
      'a page of any size',
      () => new MemoryRevocationLog(MAX, clock).read({ after: null, limit: Infinity }),
    ],
    ['the sessions of nobody', () => new MemorySessionStore(MAX, clock).list('')],
  ])('%s beyond its bounds is a mistake of the program', async (_what, call) => {
    await expect(call()).rejects.toThrow(TypeError);
  });

  it.each([
    ['key', { key: { owner: 'a', id: x(129) } }],
    ['key', { key: { owner: 'a b', id: 'a' } }],
    ['data', { data: x(4_097) }],
    ['secret', { secret: x(129) }],
    ['binding', { binding: x(129) }],
    ['idleFor', { idleFor: 0 }],
    ['absoluteFor', { absoluteFor: NaN }],
    ['absoluteFor', { absoluteFor: 401 * 86_400_000 }],
    ['place', { atMost: 0 }],
    ['place', { atMost: 1.5 }],
    ['place', { atMost: NaN }],
  ])('nor may a session have such a %s', async (_what, wrong) => {
    const right = {
      key: { owner: 'a', id: 'a' },
      lineage: '',
      secret: '',
      binding: null,
      data: '',
    };
    const store = new MemorySessionStore(MAX, clock);
    const beginning = { ...right, idleFor: 1, absoluteFor: 1, atMost: 1 };
    await expect(store.create({ ...beginning, ...wrong })).rejects.toThrow(TypeError);
    expect(await store.create(beginning)).toEqual([]);
  });
});

describe('a million claims that expire', () => {
  it('need no more room than those that live, and no timer', async () => {
    const store = new MemoryReplayStore(100_000, clock);
    const timers = process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
    const claim = async (from: number, to: number): Promise<void> => {
      for (let n = from; n < to; n++) {
        // A hundred a millisecond, each for a tenth of a second.
        if (n % 1_000 === 0) clock.advance(10);
        await store.claimOnce({ key: `claim-${n}`, expiresAt: clock.now() + 100 });
      }
    };
    await claim(0, 200_000);
    expect(store.size).toBeLessThanOrEqual(11_000);
    const before = heapInUse();
    await claim(200_000, 1_000_000);
    expect(store.size).toBeLessThanOrEqual(11_000);
    // Kept, 800 000 claims would be over 80 MB.
    expect(heapInUse() - before).toBeLessThan(20_000_000);
    const after = process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
    expect(after).toBe(timers);
  });
});
