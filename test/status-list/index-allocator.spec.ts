import { ReplayStore } from '../../lib/binding/replay-store.js';
import { StoreError } from '../../lib/kernel/errors.js';
import { RevocationLog } from '../../lib/revocation/revocation-log.js';
import { AllocationBook } from '../../lib/status-list/allocation-book.js';
import { readAllocation } from '../../lib/status-list/allocation-entry.js';
import {
  type AllocationPolicy,
  IndexAllocator,
  type StatusReference,
} from '../../lib/status-list/index-allocator.js';
import { formatListName, parseListName } from '../../lib/status-list/list-name.js';
import { memoryStorage, type MemoryStorage } from '../../lib/storage/memory/memory-storage.js';
import { TestClock } from '../support/test-clock.js';
import { LIST, NOW, PERIOD, tokenOf } from './allocation-mother.js';

const POLICY: AllocationPolicy = {
  baseUri: 'https://issuer.example/statuslists',
  size: 8_192,
  period: PERIOD,
  maxLifetime: 3_600,
  leeway: 10,
};
const EXP = NOW / 1000 + 900;

let clock: TestClock;
let storage: MemoryStorage;

beforeEach(() => {
  clock = new TestClock(NOW);
  storage = memoryStorage({ clock });
});

/** One instance on the storage of the test. */
function openAllocator(
  changes: Partial<AllocationPolicy & ConstructorParameters<typeof IndexAllocator>[1]> = {},
): IndexAllocator & { readonly book: AllocationBook } {
  const { log = storage.revocationLog, replayStore = storage.replayStore, ...policy } = changes;
  const book = changes.book ?? new AllocationBook(POLICY.size);
  const stores = { book, log, replayStore, clock };
  return Object.assign(new IndexAllocator({ ...POLICY, ...policy }, stores), { book });
}

let made = 0;
const allocate = (allocator: IndexAllocator, exp = EXP): Promise<StatusReference> =>
  allocator.allocate(tokenOf({ jti: `jti-${made++}`, sid: 's' }), exp);

const placeOf = ({ uri, idx }: StatusReference): string => `${uri}#${idx}`;
const nameOf = ({ uri }: StatusReference): string => uri.slice(uri.lastIndexOf('/') + 1);

/** Claims keys as it is told to, and remembers which were asked for. */
class ScriptedReplayStore extends ReplayStore {
  readonly claims: Parameters<ReplayStore['claimOnce']>[0][] = [];

  constructor(private readonly answer: (key: string) => Promise<boolean>) {
    super();
  }

  override claimOnce(claim: Parameters<ReplayStore['claimOnce']>[0]): Promise<boolean> {
    this.claims.push(claim);
    return this.answer(claim.key);
  }
}

describe('an index', () => {
  it('is on the list of this period', async () => {
    const { idx, uri } = await allocate(openAllocator());
    expect(uri).toBe(`https://issuer.example/statuslists/${formatListName(LIST)}`);
    expect(Number.isInteger(idx) && idx >= 0 && idx < POLICY.size).toBe(true);
  });

  it('is told to every instance, with digests for names', async () => {
    const token = tokenOf({ jti: 'the-token', sid: 'the-session', era: NOW - 7 });
    const { idx } = await openAllocator().allocate(token, EXP);
    const page = await storage.revocationLog.read({ after: null, limit: 10 });
    const entries = page.verdict === 'read' ? page.entries : [];
    expect(entries.map(readAllocation)).toEqual([
      { list: LIST, index: idx, token, until: (EXP + POLICY.leeway) * 1000 },
    ]);
  });

  it('is known to the instance that gave it before the token goes out', async () => {
    const allocator = openAllocator();
    const { idx, uri } = await allocate(allocator);
    const list = allocator.book.find(nameOf({ idx, uri }), NOW);
    expect(list?.isTaken(idx)).toBe(true);
  });

  it('is given to a token of another signer too, which dies with whatever befalls its subject', async () => {
    const { era: _era, ...without } = tokenOf({ jti: 'old', era: NOW });
    await openAllocator().allocate({ ...without, era: undefined }, EXP);
    const page = await storage.revocationLog.read({ after: null, limit: 10 });
    const [entry] = page.verdict === 'read' ? page.entries : [];
    expect(entry && readAllocation(entry)?.token.era).toBe(0);
  });

  it('cannot be foreseen', async () => {
    const allocator = openAllocator({ size: 2 ** 20 });
    const places = await Promise.all(Array.from({ length: 400 }, () => allocate(allocator)));
    const indices = places.map(({ idx }) => idx);
    const steps = indices.slice(1).map((index, at) => index - (indices[at] ?? 0));
    expect(new Set(steps).size).toBeGreaterThan(390);
    // All eighths of the list: one is missed by chance in 1 of 10^22 runs.
    expect(new Set(indices.map((index) => index >> 17)).size).toBe(8);
  });
});

describe('no index is ever given twice', () => {
  it('200 at a time on one instance', async () => {
    const allocator = openAllocator();
    const places = await Promise.all(Array.from({ length: 200 }, () => allocate(allocator)));
    expect(new Set(places.map(placeOf)).size).toBe(200);
  });

  it('200 at a time on each of 8 instances with one small list', async () => {
    // As many as a list of this size takes: they meet all the time.
    const allocators = Array.from({ length: 8 }, () => openAllocator({ size: 1_024 }));
    const places = await Promise.all(
      allocators.flatMap((allocator) => Array.from({ length: 200 }, () => allocate(allocator))),
    );
    expect(new Set(places.map(placeOf)).size).toBe(1_600);
    for (const { idx } of places) expect(idx).toBeLessThan(1_024);
  });

  it('not to an instance that was started anew and knows nothing', async () => {
    const before = await Promise.all(
      Array.from({ length: 300 }, () => allocate(openAllocator({ size: 1_024 }))),
    );
    const after = openAllocator({ size: 1_024 });
    const places = await Promise.all(Array.from({ length: 300 }, () => allocate(after)));
    expect(new Set([...before, ...places].map(placeOf)).size).toBe(600);
  });

  it('not after the claims were lost, by an instance that knows of them', async () => {
    const allocator = openAllocator({ size: 1_024 });
    const before = await Promise.all(Array.from({ length: 300 }, () => allocate(allocator)));
    const forgetful = openAllocator({
      size: 1_024,
      book: allocator.book,
      replayStore: memoryStorage({ clock }).replayStore,
    });
    const places = await Promise.all(Array.from({ length: 300 }, () => allocate(forgetful)));
    expect(new Set([...before, ...places].map(placeOf)).size).toBe(600);
  });

  it('not while a token that may have it is alive: the claim outlives the list', async () => {
    const replayStore = new ScriptedReplayStore(async () => true);
    const { idx } = await allocate(openAllocator({ replayStore }));
    const name = formatListName(LIST);
    const lastToken = LIST.start + PERIOD + POLICY.maxLifetime + POLICY.leeway;
    expect(replayStore.claims).toEqual([
      { key: `status-list:${name}:${idx}`, expiresAt: lastToken * 1000 },
    ]);
  });

  it('although lengths of less than a second come to it', async () => {
    const replayStore = new ScriptedReplayStore(async () => true);
    await allocate(openAllocator({ replayStore, leeway: 1.0011 }));
    for (const { expiresAt } of replayStore.claims) expect(Number.isInteger(expiresAt)).toBe(true);
  });
});

describe('a list that fills up', () => {
  it('is followed by another before it is hard to find room in it', async () => {
    const allocator = openAllocator({ size: 1_024 });
    const places: StatusReference[] = [];
    for (let each = 0; each < 2_500; each++) places.push(await allocate(allocator));
    const names = [...new Set(places.map(nameOf))];
    expect(names.map((name) => parseListName(name)?.number)).toEqual([...names.keys()]);
    expect(names.length).toBeGreaterThanOrEqual(3);
    for (const name of names) {
      expect(places.filter((place) => nameOf(place) === name).length).toBeLessThan(1_024);
    }
  });

  it('is left once, however many find it full at a time', async () => {
    const full = formatListName(LIST);
    const replayStore = new ScriptedReplayStore(async (key) => !key.includes(full));
    const allocator = openAllocator({ replayStore });
    const places = await Promise.all(Array.from({ length: 50 }, () => allocate(allocator)));
    expect(places.map((place) => parseListName(nameOf(place))?.number)).toEqual(
      Array.from({ length: 50 }, () => 1),
    );
    // Who comes later does not look at it again.
    const asked = replayStore.claims.length;
    await allocate(allocator);
    expect(replayStore.claims).toHaveLength(asked + 1);
  });

  it('is left behind when its period is over', async () => {
    const allocator = openAllocator();
    const first = await allocate(allocator);
    clock.set((LIST.start + PERIOD) * 1000 - 1);
    expect((await allocate(allocator)).uri).toBe(first.uri);
    clock.advance(1);
    const next = parseListName(nameOf(await allocate(allocator)));
    expect(next).toEqual({ start: LIST.start + PERIOD, period: PERIOD, number: 0 });
  });
});

describe('no token goes out that no list can withdraw', () => {
  const failure = new StoreError('ERR_STORE_UNAVAILABLE', 'The store is away.');

  it('when the claim fails', async () => {
    const replayStore = new ScriptedReplayStore(() => Promise.reject(failure));
    const allocator = openAllocator({ replayStore });
    await expect(allocate(allocator)).rejects.toBe(failure);
    expect(allocator.book.size).toBe(0);
  });

  it('when the log does not take it', async () => {
    class FailingLog extends RevocationLog {
      override append = (): Promise<never> => Promise.reject(failure);
      override read = (): Promise<never> => Promise.reject(failure);
      override follow = (): (() => void) => () => {};
    }
    const allocator = openAllocator({ log: new FailingLog() });
    await expect(allocate(allocator)).rejects.toBe(failure);
    expect(allocator.book.size).toBe(0);
  });

  it('when the store grants nothing, after a bounded number of attempts', async () => {
    const replayStore = new ScriptedReplayStore(async () => false);
    const allocator = openAllocator({ replayStore });
    await expect(allocate(allocator)).rejects.toMatchObject({ code: 'ERR_STORE_FULL' });
    expect(replayStore.claims.length).toBeLessThanOrEqual(128);
  });

  it('when it would live longer than lists are kept', async () => {
    const allocator = openAllocator();
    await expect(allocate(allocator, NOW / 1000 + 40 * 3_600)).rejects.toMatchObject({
      code: 'ERR_STORE_FULL',
    });
  });
});
