import * as fc from 'fast-check';

import { type ProofCounter, ProofQuota } from '../../../lib/binding/dpop/proof-quota.js';
import { MemoryAttemptStore } from '../../../lib/storage/memory/memory-attempt-store.js';
import { TestClock } from '../../support/test-clock.js';

const MINUTE = 60_000;

function open(perMinute: number, instances = 1) {
  const clock = new TestClock();
  const store = new MemoryAttemptStore(100_000, clock);
  let calls = 0;
  const counter: ProofCounter = {
    record: (attempt) => {
      calls++;
      return store.record(attempt);
    },
  };
  const quotas = Array.from({ length: instances }, () => new ProofQuota(perMinute, counter, clock));
  return { clock, quotas, callsSoFar: () => calls };
}

/** As a service does: what is known to be over is not even counted. */
async function ask(quota: ProofQuota | undefined, jkt = 'key'): Promise<string> {
  if (quota === undefined) throw new TypeError('no such instance');
  return quota.isOver(jkt) ? 'refused' : quota.count(jkt);
}

async function askOften(quota: ProofQuota | undefined, times: number): Promise<readonly string[]> {
  const verdicts: string[] = [];
  for (let time = 0; time < times; time++) verdicts.push(await ask(quota));
  return verdicts;
}

describe('ProofQuota', () => {
  it.each([1, 2, 99, 100, 101, 600, 601, 1_000])(
    'of %d a minute lets through so many of one key on one instance',
    async (perMinute) => {
      const { quotas, clock } = open(perMinute);
      const [quota] = quotas;
      const all = await askOften(quota, perMinute + 3);
      expect(all.slice(0, perMinute)).toEqual(all.slice(0, perMinute).map(() => 'within'));
      expect(all.slice(perMinute)).toEqual(['over', 'refused', 'refused']);
      clock.advance(MINUTE - 1);
      expect(await ask(quota)).toBe('refused');
      clock.advance(1);
      expect(await ask(quota)).toBe('within');
    },
  );

  it('also when all come at once, and says once that it is over', async () => {
    const [quota] = open(600).quotas;
    const verdicts = await Promise.all(Array.from({ length: 700 }, () => ask(quota)));
    expect(verdicts.filter((verdict) => verdict === 'within')).toHaveLength(600);
    expect(verdicts.filter((verdict) => verdict === 'over')).toHaveLength(1);
  });

  it('lets several instances through at most a twentieth part more each', async () => {
    const instances = fc.integer({ min: 1, max: 6 });
    const perMinutes = fc.integer({ min: 1, max: 700 });
    await fc.assert(
      fc.asyncProperty(
        instances,
        perMinutes,
        fc.infiniteStream(fc.nat(5)),
        async (n, limit, at) => {
          const { quotas, callsSoFar } = open(limit, n);
          const share = Math.ceil(limit / 20);
          let within = 0;
          for (let time = 0; time < 2 * limit + 20 * n; time++) {
            const quota = quotas[at.next().value % n];
            within += (await ask(quota)) === 'within' ? 1 : 0;
          }
          // The last ones may come to an instance that is over by itself, or has not told yet.
          expect(within).toBeLessThanOrEqual(limit + n * share);
          expect(within).toBeGreaterThanOrEqual(Math.floor(limit / share) * share);
          expect(callsSoFar()).toBeLessThanOrEqual(within / share + n);
        },
      ),
      { numRuns: 40 },
    );
  });

  it('asks the others about every twentieth part only', async () => {
    const { quotas, callsSoFar } = open(600);
    await askOften(quotas[0], 600);
    expect(callsSoFar()).toBe(20);
  });

  it('keeps to what the others say until their minute is over', async () => {
    const { quotas, clock } = open(10, 2);
    const [one, two] = quotas;
    await askOften(one, 10);
    clock.advance(30_000);
    expect(await ask(two)).toBe('over');
    clock.advance(29_999);
    expect(await ask(two)).toBe('refused');
    clock.advance(1);
    expect([await ask(one), await ask(two)]).toEqual(['within', 'within']);
  });

  it('never believes that a key is over for more than a minute', async () => {
    const clock = new TestClock();
    const counter: ProofCounter = { record: async () => ({ count: 11, expiresIn: 1e15 }) };
    const quota = new ProofQuota(10, counter, clock);
    expect(await ask(quota)).toBe('over');
    clock.advance(MINUTE - 1);
    expect(quota.isOver('key')).toBe(true);
    clock.advance(1);
    expect(quota.isOver('key')).toBe(false);
  });

  it('tells keys apart', async () => {
    const [quota] = open(1).quotas;
    expect([await ask(quota, 'a'), await ask(quota, 'b'), await ask(quota, 'a')]).toEqual([
      'within',
      'within',
      'over',
    ]);
  });

  it('forgets keys it has no room for, and goes by the count of all then', async () => {
    const [quota] = open(2).quotas;
    await ask(quota);
    for (let index = 0; index < 20_000; index++) await ask(quota, `key-${index}`);
    expect([await ask(quota), await ask(quota)]).toEqual(['within', 'over']);
  });
});
