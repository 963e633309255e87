/** Mistakes that logs are made with, and the case of the contract that must catch each. */
import type {
  LogFollower,
  LoggedRevocation,
  LogPage,
  RevocationLog,
} from '../../lib/revocation/revocation-log.js';
import { contractsOfSpoiled, expectCaught, type Mistake, nextTurn } from './spoiled-storage.js';

type ReadPage = Extract<LogPage, { verdict: 'read' }>;

const HOUR = 3_600_000;

/** Reads as the log does, but for what is done to each page. */
function pages(
  log: RevocationLog,
  change: (page: ReadPage, request: Parameters<RevocationLog['read']>[0]) => LogPage,
): Pick<RevocationLog, 'read'> {
  return {
    read: async (request) => {
      const page = await log.read(request);
      return page.verdict === 'read' ? change(page, request) : page;
    },
  };
}

/** Follows as the log does, but for what is done to the follower. */
function followers(
  log: RevocationLog,
  change: (follower: LogFollower) => Partial<LogFollower>,
): Pick<RevocationLog, 'follow'> {
  return { follow: (follower) => log.follow({ ...follower, ...change(follower) }) };
}

const ENTRIES: readonly Mistake<'revocationLog'>[] = [
  [
    'acknowledges before it holds',
    /as soon as it was acknowledged/,
    (real) => ({
      append: async (entry) => {
        void nextTurn()
          .then(() => real.append(entry))
          .catch(() => {});
        return { position: 'a' };
      },
    }),
  ],
  [
    'shows the newest first',
    /as soon as it was acknowledged/,
    (real) => pages(real, (page) => ({ ...page, entries: page.entries.toReversed() })),
  ],
  [
    'has a position before it has an entry',
    /is empty at first/,
    (real) => pages(real, (page) => ({ ...page, position: page.position ?? '0-0' })),
  ],
  [
    'cuts texts at 1000 bytes',
    /gives back every text/,
    (real) => ({ append: (entry) => real.append({ ...entry, data: entry.data.slice(0, 1_000) }) }),
  ],
  [
    'keeps the expiry in seconds',
    /gives back every text/,
    (real) => ({
      append: ({ data, expiresAt }) =>
        real.append({ data, expiresAt: Math.floor(expiresAt / 1_000) * 1_000 }),
    }),
  ],
  [
    'keeps nothing for longer than 30 days',
    /gives back every text/,
    (real, clock) => ({
      append: ({ data, expiresAt }) =>
        real.append({ data, expiresAt: Math.min(expiresAt, clock.now() + 30 * 24 * HOUR) }),
    }),
  ],
  [
    'answers an append with another position than a read',
    /names an entry by the position/,
    (real) => ({
      append: async (entry) => ({ position: `${(await real.append(entry)).position}0` }),
    }),
  ],
  [
    'says it is at its end when it is not',
    /is read in pages/,
    (real) => pages(real, (page) => ({ ...page, atEnd: true })),
  ],
  [
    'gives more than was asked for',
    /is read in pages/,
    (real) => ({ read: ({ after, limit }) => real.read({ after, limit: limit + 1 }) }),
  ],
  [
    'repeats the last entry of a page on the next',
    /is read in pages/,
    (real) =>
      pages(real, (page) => ({
        ...page,
        position: page.entries.at(-2)?.position ?? page.position,
      })),
  ],
  [
    'jumps to the end after a page',
    /is read in pages/,
    (real) => ({
      read: async (request) => {
        const page = await real.read(request);
        const all = await real.read({ after: null, limit: 1_000 });
        return page.verdict === 'read' && all.verdict === 'read'
          ? { ...page, position: all.position }
          : page;
      },
    }),
  ],
  [
    'loses one of two that come at once',
    /keeps 200 parallel appends/,
    (real) => {
      let busy: Promise<{ readonly position: string }> | undefined;
      return {
        append: (entry) =>
          (busy ??= nextTurn()
            .then(() => real.append(entry))
            .finally(() => (busy = undefined))),
      };
    },
  ],
  [
    'orders by what it took before it waited, so that readers were past it',
    /misses nothing and repeats nothing/,
    (real) => {
      const log: LoggedRevocation[] = [];
      let next = 0;
      return {
        append: async (entry) => {
          const position = `${++next}`.padStart(9, '0');
          for (let turns = next % 5; turns > 0; turns--) await nextTurn();
          log.push({ ...entry, position });
          log.sort((a, b) => a.position.localeCompare(b.position));
          return real.append(entry).then(() => ({ position }));
        },
        read: async ({ after, limit }) => {
          await nextTurn();
          const rest = log.filter(({ position }) => position > (after ?? ''));
          const entries = rest.slice(0, limit);
          const position = entries.at(-1)?.position ?? after;
          return { verdict: 'read', entries, position, atEnd: rest.length <= limit };
        },
      };
    },
  ],
  [
    'orders by text, for whoever did not append',
    /one order and one position/,
    (real) => {
      let reads = 0;
      return pages(real, (page) => {
        const sorted = page.entries.toSorted((a, b) => a.data.localeCompare(b.data));
        return reads++ % 2 ? { ...page, entries: sorted } : page;
      });
    },
  ],
  [
    'knows the position of another instance no more than of another log',
    /the position that another instance got/,
    (real) => {
      const own = new Set<string>();
      return {
        read: async (request) => {
          if (request.after !== null && !own.has(request.after)) return { verdict: 'lost' };
          const page = await real.read(request);
          const entries = page.verdict === 'read' ? page.entries : [];
          for (const { position } of entries) own.add(position);
          return page;
        },
      };
    },
  ],
  [
    'refuses a text it has',
    /takes the same text again/,
    (real) => {
      const seen = new Set<string>();
      return {
        append: async (entry) => {
          if (seen.size === seen.add(entry.data).size) throw new TypeError('seen');
          return real.append(entry);
        },
      };
    },
  ],
  [
    'keeps what has expired',
    /lets entries vanish/,
    (real) => ({
      append: ({ data, expiresAt }) => real.append({ data, expiresAt: expiresAt + HOUR }),
    }),
  ],
  [
    'drops all that came before what expired',
    /lets entries vanish/,
    (real, clock) => {
      const appended: { readonly data: string; readonly expiresAt: number }[] = [];
      return {
        append: (entry) => {
          appended.push(entry);
          return real.append(entry);
        },
        ...pages(real, (page) => {
          const last = appended.findLastIndex(({ expiresAt }) => expiresAt <= clock.now());
          const dropped = new Set(appended.slice(0, last + 1).map(({ data }) => data));
          return { ...page, entries: page.entries.filter(({ data }) => !dropped.has(data)) };
        }),
      };
    },
  ],
  [
    'is lost without the entry at the position',
    /still knows the position/,
    (real) => ({
      read: async (request) => {
        const all = await real.read({ after: null, limit: 1_000 });
        const known = all.verdict === 'read' ? all.entries.map(({ position }) => position) : [];
        const lost = request.after !== null && !known.includes(request.after);
        return lost ? { verdict: 'lost' } : real.read(request);
      },
    }),
  ],
  [
    'shows an append only from the end it was at',
    /still knows the position/,
    (real) =>
      pages(real, (page, { after }) => ({ ...page, entries: after === null ? page.entries : [] })),
  ],
  [
    'goes on from the position of another log',
    /says lost to the position of another log/,
    (real) => ({
      read: async (request) => {
        const page = await real.read(request);
        return page.verdict === 'lost' ? real.read({ ...request, after: null }) : page;
      },
    }),
  ],
  [
    'takes what it cannot parse for the start',
    /from a position that is none/,
    (real) => ({
      read: ({ after, limit }) => real.read({ after: after?.includes('.') ? after : null, limit }),
    }),
  ],
  ['answers after close', /after close/, () => ({ append: async () => ({ position: 'a' }) })],
];

const FOLLOWING: readonly Mistake<'revocationLog'>[] = [
  ['is deaf', /tells a follower of entries from whatever/, () => ({ follow: () => () => {} })],
  [
    'tells of what was before the position',
    /tells a follower of entries from whatever/,
    (real) => ({ follow: (follower) => real.follow({ ...follower, after: null }) }),
  ],
  [
    'follows from now on, not from the start',
    /from the start of all there is/,
    (real) => ({
      follow: (follower) => {
        const readKnown = async (): Promise<ReadonlySet<string>> => {
          const page = await real.read({ after: follower.after, limit: 1_000 });
          const entries = page.verdict === 'read' ? page.entries : [];
          return new Set(entries.map(({ position }) => position));
        };
        const reading = readKnown();
        return real.follow({
          ...follower,
          onEntries: (entries) =>
            void reading.then((known) =>
              follower.onEntries(entries.filter(({ position }) => !known.has(position))),
            ),
        });
      },
    }),
  ],
  [
    'tells everything twice',
    /exactly once/,
    (real) =>
      followers(real, ({ onEntries }) => ({
        onEntries: (entries) => onEntries([...entries, ...entries]),
      })),
  ],
  [
    'tells out of order',
    /exactly once/,
    (real) =>
      followers(real, ({ onEntries }) => {
        let held: readonly LoggedRevocation[] | undefined = [];
        return {
          onEntries: (entries) => {
            if (held === undefined) return onEntries(entries);
            const early = held;
            held = early.length > 0 ? undefined : entries;
            if (held === undefined) onEntries([...entries, ...early]);
          },
        };
      }),
  ],
  [
    'misses what comes while it hands over',
    /hands over from reading to following/,
    (real) => ({
      follow: (follower) => {
        let stop = (): void => {};
        const handOver = async (): Promise<void> => {
          await nextTurn();
          const page = await real.read({ after: null, limit: 1_000 });
          const after = page.verdict === 'read' ? page.position : null;
          stop = real.follow({ ...follower, after });
        };
        void handOver();
        return () => stop();
      },
    }),
  ],
  [
    'never says that it is current',
    /tells a follower at the end/,
    (real) => followers(real, () => ({ onCurrent: () => {} })),
  ],
  [
    'says that it is current only when something came',
    /tells a follower at the end/,
    (real) =>
      followers(real, ({ onCurrent, onEntries }) => ({
        onEntries: (entries) => {
          onEntries(entries);
          onCurrent();
        },
        onCurrent: () => {},
      })),
  ],
  [
    'never says that it is lost',
    /from another log once/,
    (real) => followers(real, () => ({ onLost: () => {} })),
  ],
  [
    'says that it is lost again and again',
    /from another log once/,
    (real) =>
      followers(real, ({ onLost }) => ({
        onLost: () => {
          onLost();
          onLost();
        },
      })),
  ],
  [
    'goes on from the start when it is lost',
    /from another log once/,
    (real) => ({
      follow: (follower) => {
        let stop = (): void => {};
        const first = real.follow({
          ...follower,
          onLost: () => {
            follower.onLost();
            stop = real.follow({ ...follower, after: null });
          },
        });
        return () => {
          first();
          stop();
        };
      },
    }),
  ],
  [
    'cannot be stopped',
    /that has ended nothing/,
    (real) => ({
      follow: (follower) => {
        real.follow(follower);
        return () => {};
      },
    }),
  ],
  [
    'stops telling everyone when one throws',
    /that has ended nothing/,
    (real) => {
      let broken = false;
      return followers(real, ({ onEntries }) => ({
        onEntries: (entries) => {
          if (broken) return;
          broken = true;
          onEntries(entries);
          broken = false;
        },
      }));
    },
  ],
];

describe('the contract of revocation logs', () => {
  it.each(ENTRIES)('catches one that %s', async (_what, caughtBy, spoil) => {
    await expectCaught(logContracts(spoil), caughtBy);
  });

  it.each(FOLLOWING)('catches one whose following %s', async (_what, caughtBy, spoil) => {
    await expectCaught(logContracts(spoil), caughtBy);
  });
});

function logContracts(spoil: Mistake<'revocationLog'>[2]) {
  return contractsOfSpoiled('revocationLog', spoil).filter(({ port }) => port === 'revocationLog');
}
