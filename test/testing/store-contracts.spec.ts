/**
 * A contract that no adapter can break proves nothing. Each row is a mistake that adapters are made
 * with, and the case that must catch it.
 */
import type { Attempts } from '../../lib/abuse/attempt-store.js';
import { NotCarried } from '../../lib/storage/storage.js';
import {
  contractsOf,
  contractsOfSpoiled,
  expectCaught,
  type Mistake,
  nextTurn,
  type Spoil,
} from './spoiled-storage.js';

const KEY_STORE: readonly Mistake<'keyStore'>[] = [
  [
    'finds, then writes',
    /lets one of 50 parallel replacements/,
    (real) => ({
      replace: async ({ expectedVersion, ring }) => {
        const { stored } = await real.load();
        if ((stored?.version ?? null) !== expectedVersion) return false;
        await nextTurn();
        const current = (await real.load()).stored?.version ?? null;
        return real.replace({ expectedVersion: current, ring });
      },
    }),
  ],
  [
    'finds, then writes the first',
    /lets one of 50 parallel first rings/,
    (real) => ({
      replace: async ({ expectedVersion, ring }) => {
        const { stored } = await real.load();
        await nextTurn();
        const current = (await real.load()).stored?.version ?? null;
        const fits = (stored?.version ?? null) === expectedVersion;
        return fits ? real.replace({ expectedVersion: current, ring }) : false;
      },
    }),
  ],
  [
    'loses updates',
    /loses no update/,
    (real) => ({
      replace: async ({ ring }) => {
        await nextTurn();
        const expectedVersion = (await real.load()).stored?.version ?? null;
        return real.replace({ expectedVersion, ring });
      },
    }),
  ],
  [
    'overwrites with a first ring',
    /stores the first ring only while/,
    (real) => ({
      replace: async ({ expectedVersion, ring }) => {
        const current = (await real.load()).stored?.version ?? null;
        return real.replace({ expectedVersion: expectedVersion ?? current, ring });
      },
    }),
  ],
  [
    'is not empty at first',
    /is empty at first/,
    () => ({ load: async () => ({ stored: { version: 1, ring: '' }, storeTime: null }) }),
  ],
  [
    'versions a ring by its text, so that one comes back',
    /versions that grow/,
    (real) => ({
      load: async () => {
        const { stored } = await real.load();
        const version = (stored?.ring.charCodeAt(0) ?? 0) + 1;
        return { stored: stored && { ...stored, version }, storeTime: null };
      },
      replace: async ({ ring }) => {
        const expectedVersion = (await real.load()).stored?.version ?? null;
        return real.replace({ expectedVersion, ring });
      },
    }),
  ],
  [
    'takes any newer version for the standing one',
    /refuses a version that stood once/,
    (real) => ({
      replace: async ({ expectedVersion, ring }) => {
        const current = (await real.load()).stored?.version ?? null;
        const fits = (expectedVersion ?? 0) >= (current ?? 0);
        return fits ? real.replace({ expectedVersion: current, ring }) : false;
      },
    }),
  ],
  [
    'trims the ring',
    /gives back every ring/,
    (real) => ({
      replace: ({ ring, ...rest }) => real.replace({ ...rest, ring: ring.trim() }),
    }),
  ],
  [
    'keeps the first 64 KiB',
    /gives back every ring/,
    (real) => ({
      replace: ({ ring, ...rest }) => real.replace({ ...rest, ring: ring.slice(0, 65_536) }),
    }),
  ],
  [
    'answers what stood when it was first asked',
    /gives positive whole versions/,
    (real) => {
      let first: ReturnType<typeof real.load> | undefined;
      return { load: () => (first ??= real.load()) };
    },
  ],
  [
    'has a clock that stands',
    /tells its own time/,
    (real) => ({ load: async () => ({ ...(await real.load()), storeTime: 1_795_000_000_000 }) }),
  ],
  [
    'tells the time in seconds',
    /tells its own time/,
    (real, clock) => ({
      load: async () => ({ ...(await real.load()), storeTime: clock.now() / 1_000 }),
    }),
  ],
  ['calls nobody back', /calls back on every instance/, () => ({ onChange: () => () => {} })],
  [
    'calls back before the ring stands',
    /calls back on every instance/,
    (real) => {
      const listeners: (() => void)[] = [];
      return {
        replace: async (request) => {
          for (const listener of listeners) listener();
          await nextTurn();
          return real.replace(request);
        },
        onChange: (listener) => {
          listeners.push(listener);
          return () => {};
        },
      };
    },
  ],
  [
    'cannot be unsubscribed from',
    /calls back no more/,
    (real) => ({
      onChange: (listener) => {
        real.onChange(listener);
        return () => {};
      },
    }),
  ],
  [
    'fails with its listeners',
    /calls back no more/,
    (real) => {
      const listeners = new Set<() => void>();
      return {
        replace: async (request) => {
          const replaced = await real.replace(request);
          for (const listener of listeners) listener();
          return replaced;
        },
        onChange: (listener) => {
          listeners.add(listener);
          return () => listeners.delete(listener);
        },
      };
    },
  ],
  [
    'answers after close',
    /after close/,
    () => ({ load: async () => ({ stored: null, storeTime: null }) }),
  ],
];

const REPLAY_STORE: readonly Mistake<'replayStore'>[] = [
  [
    'forgets the oldest claim when there are many',
    /for a flood of others/,
    (real) => {
      const kept = new Map<string, string>();
      return {
        claimOnce: async ({ key, expiresAt }) => {
          const name = kept.get(key) ?? `${key} ${kept.size} ${expiresAt}`;
          kept.set(key, name);
          const [oldest] = kept.keys();
          if (kept.size > 1_000 && oldest !== undefined) kept.delete(oldest);
          return real.claimOnce({ key: name, expiresAt });
        },
      };
    },
  ],
  [
    'finds, then writes',
    /exactly one of 100 parallel claims/,
    (_real, clock) => {
      const seen = new Map<string, number>();
      return {
        claimOnce: async ({ key, expiresAt }) => {
          const found = seen.has(key);
          await nextTurn();
          seen.set(key, expiresAt);
          return !found && expiresAt > clock.now();
        },
      };
    },
  ],
  ['grants everything', /grants a key once/, () => ({ claimOnce: async () => true })],
  ['grants nothing', /grants each of many keys/, () => ({ claimOnce: async () => false })],
  [
    'grants what has expired',
    /whose time has passed/,
    (real, clock) => ({
      claimOnce: ({ key, expiresAt }) =>
        real.claimOnce({ key, expiresAt: Math.max(expiresAt || 0, clock.now() + 1) }),
    }),
  ],
  [
    'takes NaN for no limit',
    /whose time has passed/,
    (real) => ({
      claimOnce: async (claim) => Number.isNaN(claim.expiresAt) || real.claimOnce(claim),
    }),
  ],
  [
    'grants again what is claimed for longer',
    /whatever time the second one names/,
    (real) => {
      const until = new Map<string, number>();
      return {
        claimOnce: async ({ key, expiresAt }) => {
          const longer = (until.get(key) ?? Infinity) < expiresAt;
          until.set(key, Math.max(expiresAt, until.get(key) ?? 0));
          return (await real.claimOnce({ key, expiresAt })) || longer;
        },
      };
    },
  ],
  [
    'lets a refused claim shorten the first',
    /keeps a claim for its whole time/,
    (_real, clock) => {
      const until = new Map<string, number>();
      return {
        claimOnce: async ({ key, expiresAt }) => {
          const free = (until.get(key) ?? 0) <= clock.now();
          until.set(key, expiresAt);
          return free;
        },
      };
    },
  ],
  [
    'forgets too early',
    /keeps a claim for its whole time/,
    (real, clock) => ({
      claimOnce: ({ key, expiresAt }) =>
        real.claimOnce({ key, expiresAt: clock.now() + (expiresAt - clock.now()) / 3 }),
    }),
  ],
  [
    'keys an object by them',
    /tells hostile keys apart/,
    () => {
      const seen: Record<string, boolean> = {};
      return {
        claimOnce: async ({ key }) => {
          const free = !(key in seen);
          seen[key] = true;
          return free;
        },
      };
    },
  ],
  ...(
    [
      ['trims keys', (key) => key.trim()],
      ['ignores case', (key) => key.toLowerCase()],
      ['normalises keys', (key) => key.normalize()],
      ['cuts keys at 511', (key) => key.slice(0, 511)],
      ['takes keys for patterns', (key) => key.replaceAll('*', '')],
      ['takes the text in braces for the key', (key) => /\{(.*)\}/.exec(key)?.[1] ?? key],
    ] satisfies [string, (key: string) => string][]
  ).map(([what, change]): Mistake<'replayStore'> => [
    what,
    /tells hostile keys apart/,
    (real) => ({
      claimOnce: ({ key, expiresAt }) => real.claimOnce({ key: change(key) || '-', expiresAt }),
    }),
  ]),
  [
    'remembers no long keys',
    /too short or too long/,
    (real) => ({
      claimOnce: async (claim) => claim.key.length > 512 || real.claimOnce(claim),
    }),
  ],
  ['answers after close', /after close/, () => ({ claimOnce: async () => false })],
];

const changed = async (
  answer: Promise<Attempts>,
  change: (attempts: Attempts) => Partial<Attempts>,
): Promise<Attempts> => {
  const attempts = await answer;
  return { ...attempts, ...(attempts.count > 0 ? change(attempts) : {}) };
};

const ATTEMPT_STORE: readonly Mistake<'attemptStore'>[] = [
  [
    'forgets the oldest attempts when there are many',
    /for a flood of other keys/,
    (real) => {
      const kept = new Set<string>();
      return {
        record: async (attempt) => {
          kept.add(attempt.key);
          const [oldest] = kept;
          if (kept.size > 1_000 && oldest !== undefined) {
            kept.delete(oldest);
            await real.clear(oldest);
          }
          return real.record(attempt);
        },
      };
    },
  ],
  [
    'reads, then writes',
    /window from the first/,
    (real) => {
      const counts = new Map<string, number>();
      return {
        record: async (attempt) => {
          const count = (counts.get(attempt.key) ?? 0) + 1;
          await nextTurn();
          counts.set(attempt.key, count);
          return changed(real.record(attempt), () => ({ count }));
        },
      };
    },
  ],
  [
    'reads, then writes, when the window is renewed',
    /window from the last/,
    (real) => ({
      record: async (attempt) => {
        const { count } = await real.read(attempt.key);
        await nextTurn();
        return changed(real.record(attempt), () => ({ count: count + 1 }));
      },
    }),
  ],
  [
    'counts from zero',
    /counts on/,
    (real) => ({
      record: (attempt) => changed(real.record(attempt), ({ count }) => ({ count: count - 1 })),
    }),
  ],
  [
    'invents attempts',
    /knows of no attempts/,
    () => ({ read: async () => ({ count: 0, sincePrevious: 0, expiresIn: 0 }) }),
  ],
  [
    'renews the window of the first',
    /window that the first opened/,
    (real) => ({ record: (attempt) => real.record({ ...attempt, runsFrom: 'last' }) }),
  ],
  [
    'renews no window',
    /opens the window anew/,
    (real) => ({ record: (attempt) => real.record({ ...attempt, runsFrom: 'first' }) }),
  ],
  [
    'forgets too late',
    /window that the first opened/,
    (real) => ({ record: (attempt) => real.record({ ...attempt, window: attempt.window * 2 }) }),
  ],
  [
    'tells an instant instead of a time to wait',
    /says when the attempts are forgotten/,
    (real, clock) => ({
      record: (attempt) =>
        changed(real.record(attempt), ({ expiresIn }) => ({ expiresIn: expiresIn + clock.now() })),
    }),
  ],
  [
    'tells an instant instead of a time ago',
    /says how long ago/,
    (real, clock) => ({
      record: (attempt) =>
        changed(real.record(attempt), ({ sincePrevious }) => ({
          sincePrevious: sincePrevious === null ? null : clock.now(),
        })),
    }),
  ],
  [
    'counts what only reads',
    /is not changed by reading/,
    (real) => ({ read: (key) => real.record({ key, window: 60_000, runsFrom: 'first' }) }),
  ],
  ['clears nothing', /that is cleared/, () => ({ clear: async () => {} })],
  [
    'clears by prefix',
    /tells hostile keys apart/,
    (real) => {
      const keys = new Set<string>();
      return {
        record: (attempt) => {
          keys.add(attempt.key);
          return real.record(attempt);
        },
        clear: async (prefix) => {
          for (const key of keys) if (key.startsWith(prefix)) await real.clear(key);
        },
      };
    },
  ],
  [
    'clears everything',
    /that is cleared/,
    (real) => {
      const keys = new Set<string>();
      return {
        record: (attempt) => {
          keys.add(attempt.key);
          return real.record(attempt);
        },
        clear: async () => void (await Promise.all([...keys].map((key) => real.clear(key)))),
      };
    },
  ],
  [
    'ignores case',
    /tells hostile keys apart/,
    (real) => ({
      record: (attempt) => real.record({ ...attempt, key: attempt.key.toLowerCase() }),
    }),
  ],
  [
    'cuts keys at 512',
    /too short or too long/,
    (real) => ({
      record: (attempt) => real.record({ ...attempt, key: attempt.key.slice(0, 512) }),
    }),
  ],
  ['answers after close', /after close/, () => ({ clear: async () => {} })],
];

describe.each([
  ['key stores', 'keyStore', KEY_STORE],
  ['replay stores', 'replayStore', REPLAY_STORE],
  ['attempt stores', 'attemptStore', ATTEMPT_STORE],
] as const)('the contract of %s', (_ports, port, mistakes) => {
  it.each([...mistakes])('catches one that %s', async (_what, caughtBy, spoil) => {
    const contracts = contractsOfSpoiled(port, spoil as Spoil<typeof port>);
    await expectCaught(
      contracts.filter((contract) => contract.port === port),
      caughtBy,
    );
  });
});

describe('the contract of storages', () => {
  const missing = new NotCarried('its backend has no compare-and-swap');

  it('catches a port that is listed, and not carried', async () => {
    const contracts = contractsOf((storage) => ({ ...storage, replayStore: missing }));
    await expectCaught(contracts, /^replayStore: grants a key once/);
    await expectCaught(contracts, /^replayStore: .* after close/);
  });

  it('catches a port that is there, and not listed', async () => {
    const contracts = contractsOf((storage) => storage, ['keyStore']);
    await expectCaught(contracts, /^replayStore: is not carried/);
  });

  it('catches a refusal without a reason', async () => {
    const spoil = { replayStore: new NotCarried('') };
    const contracts = contractsOf((storage) => ({ ...storage, ...spoil }), ['keyStore']);
    await expectCaught(contracts, /^replayStore: is not carried/);
  });

  it('takes a refusal with its reason, and asks nothing else of that port', async () => {
    const ports = ['keyStore', 'revocationLog', 'sessionStore', 'attemptStore'] as const;
    const contracts = contractsOf((storage) => ({ ...storage, replayStore: missing }), ports);
    const [refusal, ...others] = contracts.filter(({ port }) => port === 'replayStore');
    expect(others).toEqual([]);
    await expect(refusal?.run()).resolves.toBeUndefined();
  });

  it('catches a storage that is down although it has just connected', async () => {
    const status = { state: 'down', since: new Date(0), detail: '' } as const;
    const contracts = contractsOf((storage) => ({ ...storage, status: () => status }));
    await expectCaught(contracts, /^storage: /);
  });

  it('names every case once', () => {
    const names = contractsOf((storage) => storage).map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect(names.length).toBeGreaterThan(80);
  });

  it('lets go of storages and backends, also when a case fails', async () => {
    let open = 0;
    const closing = contractsOf((storage) => {
      open++;
      return {
        ...storage,
        replayStore: missing,
        close: async () => {
          open--;
          await storage.close();
        },
      };
    });
    for (const { run } of closing.filter(({ port }) => port === 'replayStore')) {
      await expect(run()).rejects.toThrow('replayStore');
    }
    expect(open).toBe(0);
  });
});
