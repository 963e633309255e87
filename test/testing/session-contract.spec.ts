/** Mistakes that session stores are made with, and the case of the contract that must catch each. */
import type {
  FoundSession,
  RotationVerdict,
  SessionKey,
  SessionRecord,
  SessionStore,
} from '../../lib/sessions/session-store.js';
import { contractsOfSpoiled, expectCaught, type Mistake, nextTurn } from './spoiled-storage.js';

type Rotation = Parameters<SessionStore['rotate']>[0];

const nameOf = ({ owner, id }: SessionKey): string => `${owner} ${id}`;

/** Rotates as the store does, but for what is done to the request. */
function asking(
  store: SessionStore,
  change: (request: Rotation) => Partial<Rotation>,
): Pick<SessionStore, 'rotate'> {
  return { rotate: (request) => store.rotate({ ...request, ...change(request) }) };
}

/** Rotates as the store does, but for what is done to the verdict. */
function answering(
  store: SessionStore,
  change: (verdict: RotationVerdict, request: Rotation) => RotationVerdict,
): Pick<SessionStore, 'rotate'> {
  return { rotate: async (request) => change(await store.rotate(request), request) };
}

/** Finds as the store does, but for what is done to what was found. */
function finding(
  store: SessionStore,
  change: (found: FoundSession, request: Parameters<SessionStore['find']>[0]) => FoundSession,
): Pick<SessionStore, 'find'> {
  return {
    find: async (request) => {
      const found = await store.find(request);
      return found === null ? null : change(found, request);
    },
  };
}

/** Shows sessions as the store does, but for what is done to each record. */
function recording(
  store: SessionStore,
  change: (record: SessionRecord) => SessionRecord,
): Pick<SessionStore, 'list' | 'rotate'> {
  return {
    list: async (owner) => (await store.list(owner)).map(change),
    ...answering(store, (verdict) =>
      'session' in verdict ? { ...verdict, session: change(verdict.session) } : verdict,
    ),
  };
}

const SESSIONS: readonly Mistake<'sessionStore'>[] = [
  [
    'finds, then writes',
    /of 50 created at once/,
    (real) => ({
      create: async (request) => {
        const standing = await real.list(request.key.owner);
        await nextTurn();
        const ended = await real.create(request);
        return standing.some(({ key }) => key.id === request.key.id) ? null : (ended ?? []);
      },
    }),
  ],
  [
    'overwrites',
    /another is to be created in its place/,
    (real) => ({
      create: async (request) => {
        const isThere = await real.end(request.key);
        const ended = await real.create(request);
        return isThere ? null : ended;
      },
    }),
  ],
  [
    'tells times in seconds',
    /keeps a new session/,
    (real) => recording(real, (record) => ({ ...record, createdAt: record.createdAt / 1_000 })),
  ],
  [
    'loses a byte of data',
    /gives back data/,
    (real) => recording(real, (record) => ({ ...record, data: record.data.slice(0, 4_093) })),
  ],
  [
    'lists the newest first',
    /oldest first/,
    (real) => ({ list: async (owner) => (await real.list(owner)).toReversed() }),
  ],
  [
    'lists by id',
    /oldest first/,
    (real) => ({
      list: async (owner) =>
        (await real.list(owner)).toSorted((a, b) => a.key.id.localeCompare(b.key.id)),
    }),
  ],
  [
    'lists by use',
    /oldest first/,
    (real) => ({
      list: async (owner) =>
        (await real.list(owner)).toSorted((a, b) => a.lastUsedAt - b.lastUsedAt),
    }),
  ],
  [
    'takes a former token for the current one',
    /shows what a token is by now/,
    (real) =>
      finding(real, (found) => (found.shown === 'former' ? { ...found, shown: 'current' } : found)),
  ],
  [
    'takes a token of long ago for the former one',
    /shows what a token is by now/,
    (real) =>
      finding(real, (found) => (found.shown === 'other' ? { ...found, shown: 'former' } : found)),
  ],
  [
    'shows no token that is not current',
    /shows what a token is by now/,
    (real) => ({
      find: async (request) => {
        const found = await real.find(request);
        return found?.shown === 'other' ? null : found;
      },
    }),
  ],
  [
    'shows a former token without a look at its window',
    /once its window is over/,
    (real) => {
      const former = new Set<string>();
      return {
        rotate: (request) => {
          former.add(request.presented.secret);
          return real.rotate(request);
        },
        ...finding(real, (found, { secret }) =>
          former.has(secret) ? { ...found, shown: 'former' } : found,
        ),
      };
    },
  ],
  [
    'tells when the session was used for when it was found',
    /the instant by which it found/,
    (real) => finding(real, (found) => ({ ...found, at: found.session.lastUsedAt })),
  ],
  [
    'makes no room',
    /to make room, and answers which/,
    (real) => ({ create: (request) => real.create({ ...request, atMost: 1_000 }) }),
  ],
  [
    'does not say what it ended to make room',
    /to make room, and answers which/,
    (real) => ({
      create: async (request) => {
        const ended = await real.create(request);
        return ended === null ? null : [];
      },
    }),
  ],
  [
    'makes room for one that is there already',
    /to make room, and answers which/,
    (real) => ({
      create: async (request) => {
        const { key, atMost } = request;
        const others = (await real.list(key.owner)).filter(({ key: { id } }) => id !== key.id);
        const ending = others.slice(0, Math.max(0, others.length + 1 - atMost));
        for (const session of ending) await real.end(session.key);
        const ended = await real.create(request);
        return ended === null ? null : ending.map(({ key: { id } }) => id);
      },
    }),
  ],
  [
    'ends what was not used for longest to make room',
    /to make room, and answers which/,
    (real) => ({
      create: async (request) => {
        const { key, atMost } = request;
        const live = await real.list(key.owner);
        const ended = await real.create({ ...request, atMost: 1_000 });
        if (ended === null) return null;
        const ending = live
          .toSorted((a, b) => a.lastUsedAt - b.lastUsedAt)
          .slice(0, Math.max(0, live.length + 1 - atMost));
        for (const session of ending) await real.end(session.key);
        return ending.map(({ key: { id } }) => id);
      },
    }),
  ],
  [
    'counts what has ended when it makes room',
    /by live sessions alone/,
    (real) => {
      const begun: string[] = [];
      return {
        create: async (request) => {
          const { owner, id } = request.key;
          const ended = await real.create(request);
          if (ended === null) return null;
          begun.push(id);
          const ending = begun.splice(0, Math.max(0, begun.length - request.atMost));
          const also: string[] = [];
          for (const other of ending) if (await real.end({ owner, id: other })) also.push(other);
          return [...ended, ...also];
        },
      };
    },
  ],
  [
    'counts, then makes room, so that more are left than told',
    /names each that ended once/,
    (real) => ({
      create: async (request) => {
        const { key, atMost } = request;
        const live = await real.list(key.owner);
        await nextTurn();
        const ended = await real.create({ ...request, atMost: 1_000 });
        if (ended === null) return null;
        const ending = live.slice(0, Math.max(0, live.length + 1 - atMost));
        for (const session of ending) await real.end(session.key);
        return ending.map(({ key: { id } }) => id);
      },
    }),
  ],
  [
    'says it ended what was not there',
    /one of 50 that end it/,
    (real) => ({ end: async (key) => (await real.end(key)) || true }),
  ],
  [
    'ends all sessions of the owner for one',
    /one of 50 that end it/,
    (real) => ({
      end: async ({ owner, id }) =>
        (await real.endAll({ owner, except: null })).some((ended) => ended === id),
    }),
  ],
  [
    'ends also the one that is to stay',
    /of an owner but one/,
    (real) => ({ endAll: ({ owner }) => real.endAll({ owner, except: null }) }),
  ],
  [
    'ends nothing if the one that is to stay is not there',
    /although no session has the id/,
    (real) => ({
      endAll: async (request) => {
        const ids = (await real.list(request.owner)).map(({ key }) => key.id);
        return request.except === null || ids.includes(request.except) ? real.endAll(request) : [];
      },
    }),
  ],
  [
    'lists, then ends, so that two say they ended one',
    /ends each session once/,
    (real) => ({
      endAll: async ({ owner, except }) => {
        const ids = (await real.list(owner)).map(({ key }) => key.id);
        await nextTurn();
        await real.endAll({ owner, except });
        return ids.filter((id) => id !== except);
      },
    }),
  ],
  [
    'writes back what it found before a session was ended',
    /survive the end of all/,
    (real) => {
      const beginnings = new Map<string, Parameters<SessionStore['create']>[0]>();
      return {
        create: (request) => {
          beginnings.set(nameOf(request.key), request);
          return real.create(request);
        },
        rotate: async (request) => {
          const verdict = await real.rotate(request);
          await nextTurn();
          const beginning = beginnings.get(nameOf(request.presented.key));
          if (verdict.verdict === 'rotated' && beginning !== undefined) {
            await real.create({ ...beginning, secret: request.next.secret });
          }
          return verdict;
        },
        endAll: async (request) => {
          await nextTurn();
          return real.endAll(request);
        },
      };
    },
  ],
  [
    'does not note that a session is used',
    /not used in time/,
    (real, clock) => {
      const ends = new Map<string, number>();
      return {
        create: (request) => {
          ends.set(nameOf(request.key), clock.now() + request.idleFor);
          return real.create(request);
        },
        list: async (owner) =>
          (await real.list(owner)).filter(({ key }) => clock.now() < (ends.get(nameOf(key)) ?? 0)),
      };
    },
  ],
  [
    'never ends what is not used',
    /not used in time/,
    (real) => ({ create: (request) => real.create({ ...request, idleFor: request.absoluteFor }) }),
  ],
  [
    'extends a session that is used',
    /when its time is over/,
    (real) => ({
      create: (request) => real.create({ ...request, absoluteFor: request.absoluteFor * 2 }),
    }),
  ],
  [
    'counts what has expired',
    /counts live sessions/,
    (real) => {
      let created = 0;
      return {
        create: async (request) => {
          const ended = await real.create(request);
          if (ended !== null) created++;
          return ended;
        },
        end: async (key) => {
          const ended = await real.end(key);
          if (ended) created--;
          return ended;
        },
        count: async () => ({ ...(await real.count()), sessions: created }),
      };
    },
  ],
  [
    'counts owners whose sessions have ended',
    /counts live sessions/,
    (real) => {
      const owners = new Set<string>();
      return {
        create: (request) => {
          owners.add(request.key.owner);
          return real.create(request);
        },
        count: async () => ({ ...(await real.count()), owners: owners.size }),
      };
    },
  ],
  [
    'counts an owner once for each session',
    /counts live sessions/,
    (real) => ({
      count: async () => {
        const { sessions } = await real.count();
        return { sessions, owners: sessions };
      },
    }),
  ],
  [
    'ignores case',
    /hostile owners and ids/,
    (real) => ({
      create: (request) => {
        const { owner, id } = request.key;
        return real.create({ ...request, key: { owner, id: id.toLowerCase() } });
      },
    }),
  ],
  [
    'joins owner and id',
    /outside the alphabet/,
    (real) => {
      const joined = new Set<string>();
      return {
        create: async (request) => {
          const key = `${request.key.owner}${request.key.id}`;
          if (joined.has(key)) return null;
          joined.add(key);
          return real.create(request);
        },
      };
    },
  ],
  [
    'answers after close',
    /after close/,
    () => ({ count: async () => ({ sessions: 0, owners: 0 }) }),
  ],
];

const ROTATION: readonly Mistake<'sessionStore'>[] = [
  [
    'does not count rotations',
    /puts the next one in its place/,
    (real) => recording(real, (record) => ({ ...record, generation: 0 })),
  ],
  [
    'shows the session as it was before',
    /puts the next one in its place/,
    (real) => ({
      rotate: async (request) => {
        const before = await real.list(request.presented.key.owner);
        const verdict = await real.rotate(request);
        const session = before.find(({ key }) => key.id === request.presented.key.id);
        return verdict.verdict === 'rotated' && session ? { ...verdict, session } : verdict;
      },
    }),
  ],
  [
    'leaves the presented token in its place',
    /puts the next one in its place/,
    (real) =>
      asking(real, ({ presented, next }) => ({ next: { ...next, secret: presented.secret } })),
  ],
  [
    'forgets data when there is none new',
    /replaces the data/,
    (real) => asking(real, ({ next }) => ({ next: { ...next, data: next.data ?? '' } })),
  ],
  [
    'takes an empty text for no data',
    /replaces the data/,
    (real) => asking(real, ({ next }) => ({ next: { ...next, data: next.data || null } })),
  ],
  [
    'asks for no lineage',
    /for a guessed session/,
    (real) => {
      const lineages = new Map<string, string>();
      return {
        create: (request) => {
          lineages.set(nameOf(request.key), request.lineage);
          return real.create(request);
        },
        ...asking(real, ({ presented }) => {
          const lineage = lineages.get(nameOf(presented.key)) ?? presented.lineage;
          return { presented: { ...presented, lineage } };
        }),
      };
    },
  ],
  [
    'ends a session whose lineage was guessed wrong',
    /for a guessed session/,
    (real) => ({
      rotate: async (request) => {
        const verdict = await real.rotate(request);
        if (verdict.verdict === 'unknown') await real.end(request.presented.key);
        return verdict;
      },
    }),
  ],
  [
    'invents a session for a token it does not know',
    /a session that never was/,
    (real) => ({
      rotate: async (request) => {
        const limits = { data: '', idleFor: 60_000, absoluteFor: 60_000, atMost: 9 };
        await real.create({ ...request.presented, ...limits });
        return real.rotate(request);
      },
    }),
  ],
  [
    'lets two win',
    /in the window all others get its successor/,
    (real) =>
      answering(real, (verdict) =>
        verdict.verdict === 'repeated' ? { verdict: 'rotated', session: verdict.session } : verdict,
      ),
  ],
  [
    'gives every loser the successor it offered itself',
    /in the window all others get its successor/,
    (real) =>
      answering(real, (verdict, { next }) =>
        verdict.verdict === 'repeated' ? { ...verdict, sealed: next.sealed } : verdict,
      ),
  ],
  [
    'opens a window where none was asked for',
    /without a window/,
    (real) => asking(real, ({ graceFor }) => ({ graceFor: Math.max(graceFor, 1_000) })),
  ],
  [
    'notes the repetition as use',
    /answers the predecessor/,
    (real, clock) =>
      answering(real, (verdict) =>
        verdict.verdict === 'repeated'
          ? { ...verdict, session: { ...verdict.session, lastUsedAt: clock.now() } }
          : verdict,
      ),
  ],
  [
    'keeps the window open too long',
    /closes the window in time/,
    (real) => asking(real, ({ graceFor }) => ({ graceFor: graceFor * 1.5 })),
  ],
  ['has no window', /closes the window in time/, (real) => asking(real, () => ({ graceFor: 0 }))],
  [
    'goes by when it judges, not by when it was asked',
    /goes by when it was asked/,
    (real) => asking(real, () => ({ askedAt: null })),
  ],
  [
    'takes what was asked before the rotation for misuse',
    /goes by when it was asked/,
    (real) => {
      const rotatedAt = new Map<string, number>();
      return {
        rotate: async (request) => {
          const { secret, key } = request.presented;
          const raced = (request.askedAt ?? Infinity) < (rotatedAt.get(secret) ?? -Infinity);
          const verdict = await real.rotate(raced ? { ...request, graceFor: 0 } : request);
          if (verdict.verdict === 'rotated') {
            const [session] = await real.list(key.owner);
            rotatedAt.set(secret, session?.lastUsedAt ?? 0);
          }
          return verdict;
        },
      };
    },
  ],
  [
    'takes what was asked in time for no misuse, without a window',
    /without a window/,
    (real) => asking(real, ({ askedAt }) => (askedAt === null ? {} : { graceFor: 1 })),
  ],
  [
    'judges however long ago it was asked',
    /too long ago/,
    (real, clock) =>
      asking(real, ({ askedAt }) => ({
        askedAt: askedAt === null ? null : Math.max(askedAt, clock.now() - 1_000),
      })),
  ],
  [
    'judges what is asked in time to come',
    /in time to come/,
    (real, clock) =>
      asking(real, ({ askedAt }) => ({
        askedAt: askedAt === null ? null : Math.min(askedAt, clock.now()),
      })),
  ],
  [
    'finds every request late',
    /puts the next one in its place/,
    (real) => answering(real, () => ({ verdict: 'late' })),
  ],
  [
    'forgets how a session was misused',
    /from long before/,
    (real) =>
      answering(real, (verdict) =>
        verdict.verdict === 'ended' ? { ...verdict, misuse: 'recent' } : verdict,
      ),
  ],
  [
    'keeps the window open although the successor was used',
    /closes the window when the successor is used/,
    (real) => {
      const sealed = new Map<string, string>();
      return {
        rotate: async (request) => {
          const known = sealed.get(request.presented.secret);
          const [session] = await real.list(request.presented.key.owner);
          if (known !== undefined && session !== undefined) {
            return { verdict: 'repeated', session, sealed: known };
          }
          const verdict = await real.rotate(request);
          if (verdict.verdict === 'rotated') {
            sealed.set(request.presented.secret, request.next.sealed);
          }
          return verdict;
        },
      };
    },
  ],
  [
    'calls what came before the predecessor older at once',
    /closes the window when the successor is used/,
    (real) =>
      answering(real, (verdict) =>
        verdict.verdict === 'reused' ? { ...verdict, misuse: 'older' } : verdict,
      ),
  ],
  [
    'goes by the window of the rotation alone',
    /keeps to the shorter window/,
    (real) => {
      const windows = new Map<string, number>();
      return asking(real, ({ presented, graceFor }) => {
        const known = windows.get(presented.secret);
        windows.set(presented.secret, known ?? graceFor);
        return { graceFor: known ?? graceFor };
      });
    },
  ],
  [
    'remembers two tokens only',
    /from long before/,
    (real) =>
      answering(real, (verdict) =>
        verdict.verdict === 'reused' && verdict.misuse === 'older'
          ? { ...verdict, misuse: 'unknown' }
          : verdict,
      ),
  ],
  [
    'calls a forged token an old one',
    /that was never issued/,
    (real) =>
      answering(real, (verdict) =>
        verdict.verdict === 'reused' ? { ...verdict, misuse: 'older' } : verdict,
      ),
  ],
  [
    'takes a forged token for one of another session',
    /that was never issued/,
    (real) => ({
      rotate: async (request) => {
        const verdict = await real.rotate(request);
        const forged = verdict.verdict === 'reused' && verdict.misuse === 'unknown';
        return forged ? { verdict: 'unknown' } : verdict;
      },
    }),
  ],
  ...(
    [
      ['current', 'another'],
      ['current', 'none'],
      ['current', 'one that the session has not'],
      ['predecessor', 'another'],
      ['predecessor', 'none'],
      ['predecessor', 'one that the session has not'],
    ] as const
  ).map(([which, what]): Mistake<'sessionStore'> => [
    `ignores the binding of the ${which} token, given ${what}`,
    new RegExp(`its ${which} token with a binding that differs: ${what}`),
    (real) => {
      const bindings = new Map<string, string | null>();
      return {
        create: (request) => {
          bindings.set(nameOf(request.key), request.binding);
          return real.create(request);
        },
        ...asking(real, ({ presented }) => {
          const binding = bindings.get(nameOf(presented.key)) ?? null;
          return { presented: { ...presented, binding } };
        }),
      };
    },
  ]),
  [
    'accepts no binding at all',
    /accepts the binding of the session/,
    (real) => asking(real, ({ presented }) => ({ presented: { ...presented, binding: null } })),
  ],
  [
    'tells of a reuse again and again',
    /tells of a reuse once/,
    (real) =>
      answering(real, (verdict) =>
        verdict.verdict === 'ended' ? { ...verdict, verdict: 'reused' } : verdict,
      ),
  ],
  [
    'ends all sessions of the owner with the misused one',
    /ends a session by misuse/,
    (real) => ({
      rotate: async (request) => {
        const verdict = await real.rotate(request);
        const { owner } = request.presented.key;
        if (verdict.verdict === 'reused') await real.endAll({ owner, except: null });
        return verdict;
      },
    }),
  ],
  [
    'still lists what was ended by misuse',
    /ends a session by misuse/,
    (real) => {
      const misused: SessionRecord[] = [];
      return {
        ...answering(real, (verdict) => {
          if (verdict.verdict === 'reused') misused.push(verdict.session);
          return verdict;
        }),
        list: async (owner) => [...misused, ...(await real.list(owner))],
      };
    },
  ],
  [
    'forgets what was ended by misuse',
    /that was never issued/,
    (real) =>
      answering(real, (verdict) =>
        verdict.verdict === 'ended' ? { verdict: 'unknown' } : verdict,
      ),
  ],
  [
    'judges, waits, then writes',
    /races with misuse/,
    (real) => {
      const ended = new Map<string, SessionRecord>();
      return {
        rotate: async (request) => {
          const standing = ended.get(nameOf(request.presented.key));
          await nextTurn();
          if (standing !== undefined) return { verdict: 'rotated', session: standing };
          const verdict = await real.rotate(request);
          if (verdict.verdict === 'reused') {
            ended.set(nameOf(request.presented.key), verdict.session);
          }
          return verdict;
        },
      };
    },
  ],
];

describe('the contract of session stores', () => {
  it.each(SESSIONS)('catches one that %s', async (_what, caughtBy, spoil) => {
    await expectCaught(sessionContracts(spoil), caughtBy);
  });

  it.each(ROTATION)('catches a rotation that %s', async (_what, caughtBy, spoil) => {
    await expectCaught(sessionContracts(spoil), caughtBy);
  });
});

function sessionContracts(spoil: Mistake<'sessionStore'>[2]) {
  return contractsOfSpoiled('sessionStore', spoil).filter(({ port }) => port === 'sessionStore');
}
