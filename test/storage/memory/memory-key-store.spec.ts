import * as fc from 'fast-check';

import type { StoredKeyRing } from '../../../lib/keys/key-store.js';
import { MemoryKeyStore } from '../../../lib/storage/memory/memory-key-store.js';

let store: MemoryKeyStore;

async function standing(of: MemoryKeyStore = store): Promise<StoredKeyRing | null> {
  return (await of.load()).stored;
}

beforeEach(() => {
  store = new MemoryKeyStore();
});

describe('MemoryKeyStore', () => {
  it('is empty at first', async () => {
    expect(await standing()).toBeNull();
  });

  it('stores the first ring only while there is none', async () => {
    expect(await store.replace({ expectedVersion: null, ring: 'a' })).toBe(true);
    expect(await store.replace({ expectedVersion: null, ring: 'b' })).toBe(false);
    expect(await standing()).toMatchObject({ ring: 'a' });
  });

  it.each([0, 1, -1, Number.NaN])('stores no first ring for version %d', async (version) => {
    expect(await store.replace({ expectedVersion: version, ring: 'a' })).toBe(false);
    expect(await standing()).toBeNull();
  });

  it('replaces a ring only by one that was computed from it', async () => {
    await store.replace({ expectedVersion: null, ring: 'a' });
    const first = await standing();
    expect(await store.replace({ expectedVersion: first?.version ?? -1, ring: 'b' })).toBe(true);
    const second = await standing();
    expect(second?.version).toBeGreaterThan(first?.version ?? Infinity);
    expect(await store.replace({ expectedVersion: first?.version ?? -1, ring: 'c' })).toBe(false);
    expect(await store.replace({ expectedVersion: (second?.version ?? 0) + 1, ring: 'c' })).toBe(
      false,
    );
    expect(await standing()).toEqual(second);
  });

  it('never gives a version twice, so that a ring seen long ago is never taken for this one', async () => {
    const versions: (number | undefined)[] = [];
    for (const ring of ['a', 'b', 'a', 'a']) {
      const expectedVersion = (await standing())?.version ?? null;
      await store.replace({ expectedVersion, ring });
      versions.push((await standing())?.version);
    }
    expect(new Set(versions).size).toBe(4);
    expect(versions).toEqual(versions.toSorted((a, b) => (a ?? 0) - (b ?? 0)));
  });

  it('lets exactly one of 100 parallel replacements win', async () => {
    await store.replace({ expectedVersion: null, ring: 'old' });
    const version = (await standing())?.version ?? null;
    const verdicts = await Promise.all(
      Array.from({ length: 100 }, (_, index) =>
        store.replace({ expectedVersion: version, ring: `new-${index}` }),
      ),
    );
    expect(verdicts.filter(Boolean)).toHaveLength(1);
    expect((await standing())?.ring).toBe(`new-${verdicts.indexOf(true)}`);
  });

  it('behaves like one cell with a counter, whatever is asked in whatever order', async () => {
    const version = fc.oneof(fc.constant(null), fc.integer({ min: -1, max: 8 }));
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(version, fc.string()), { maxLength: 30 }),
        async (calls) => {
          const tried = new MemoryKeyStore();
          let cell = null as StoredKeyRing | null;
          for (const [expectedVersion, ring] of calls) {
            const wins = expectedVersion === (cell?.version ?? null);
            expect(await tried.replace({ expectedVersion, ring })).toBe(wins);
            if (wins) cell = { version: (cell?.version ?? 0) + 1, ring };
            expect(await standing(tried)).toEqual(cell);
          }
        },
      ),
    );
  });

  it('calls back after each replacement, when load already answers the new ring', async () => {
    const seen: Promise<StoredKeyRing | null>[] = [];
    store.onChange(() => seen.push(standing()));
    await store.replace({ expectedVersion: null, ring: 'a' });
    await store.replace({ expectedVersion: null, ring: 'lost' });
    expect(await Promise.all(seen)).toEqual([await standing()]);
  });

  it('has no clock that instances could agree on', async () => {
    expect((await store.load()).storeTime).toBeNull();
  });

  it('takes one listener twice, as two', async () => {
    const listener = jest.fn();
    const unsubscribe = store.onChange(listener);
    store.onChange(listener);
    unsubscribe();
    await store.replace({ expectedVersion: null, ring: 'a' });
    expect(listener).toHaveBeenCalledTimes(1);
  });

  it('stops calling back once the subscription ended', async () => {
    const ended = jest.fn();
    const kept = jest.fn();
    const unsubscribe = store.onChange(ended);
    store.onChange(kept);
    unsubscribe();
    unsubscribe();
    await store.replace({ expectedVersion: null, ring: 'a' });
    expect(ended).not.toHaveBeenCalled();
    expect(kept).toHaveBeenCalledTimes(1);
  });
});
