import { randomBytes } from 'node:crypto';

import { readRefreshToken, writeRefreshToken } from '../../lib/sessions/refresh-token.js';
import type { SessionRefresh, SessionStart } from '../../lib/sessions/session.js';
import type { Misuse } from '../../lib/sessions/session-store.js';
import {
  describeWithRedis,
  eventually,
  type RedisServer,
  startRedis,
} from '../support/redis-server.js';
import { recordSecret } from '../support/witness.js';
import { Instance, type InstanceOptions } from './instances.js';
import { instant } from './revocation-clients.js';
import { percentile, pick } from './revocation-figures.js';
import { type Pair, SessionClient } from './session-clients.js';
import { saidOfThefts, sessionSetting, storedGenerations } from './session-instances.js';

/** Of each pattern: `SESSION_THEFTS=100` for figures one can believe. */
const ROUNDS = Number(process.env['SESSION_THEFTS'] ?? 2);

const INSTANCES = 3;

/** What the brief allows from the answer to a thief to the last acceptance anywhere. */
const AT_MOST = 1_000;

/** Who has not heard of the log for so long says 503: as little as can be configured. */
const MAX_LAG = '2s';

/** Milliseconds of grace: long enough for a successor to be used within it. */
const GRACE = 2_000;

const BOUND: SessionStart = { binding: { kind: 'dpop', value: `${'O'.repeat(42)}A` } };

/** A session with what its owner has, and what a thief has of it. */
interface Stolen {
  /** All that were issued, the last one being the owner's. */
  readonly pairs: readonly Pair[];
  /** What the thief shows. */
  readonly shown: string;
  readonly shownWith?: SessionRefresh;
  readonly misuse: Misuse;
}

interface LastLook {
  /** 0 if it never was. */
  readonly acceptedAt: number;
  /** How far the instance was behind the log by then. */
  readonly lag: number;
}

/** Rotates a session so many times, on all instances in turn. */
async function grow(users: readonly SessionClient[], subject: string, times: number) {
  const pairs = [await pick(users, 0).start(subject)];
  for (let time = 1; time <= times; time++) {
    pairs.push(await pick(users, time).mustRefresh(pick(pairs, time - 1).refreshToken));
  }
  return pairs;
}

async function stolenAfter(
  users: readonly SessionClient[],
  subject: string,
  { rotations, shown, misuse }: { rotations: number; shown: number; misuse: Misuse },
): Promise<Stolen> {
  const pairs = await grow(users, subject, rotations);
  return { pairs, shown: pick(pairs, shown).refreshToken, misuse };
}

async function graceIsOver(stolen: Stolen): Promise<Stolen> {
  const from = instant();
  await eventually('the grace is over', () => instant() > from + GRACE);
  return stolen;
}

type Pattern = (users: readonly SessionClient[], subject: string) => Promise<Stolen>;

async function boundSession(
  users: readonly SessionClient[],
  subject: string,
  binding: SessionRefresh['binding'],
): Promise<Stolen> {
  const pair = await pick(users, 0).start(subject, BOUND);
  const shownWith = binding === undefined ? {} : { binding };
  return { pairs: [pair], shown: pair.refreshToken, shownWith, misuse: 'binding' };
}

const PATTERNS: readonly (readonly [string, Pattern])[] = [
  [
    'used after its rotation, beyond the grace',
    async (users, subject) =>
      graceIsOver(await stolenAfter(users, subject, { rotations: 1, shown: 0, misuse: 'recent' })),
  ],
  [
    'used after its successor was, within the grace',
    (users, subject) => stolenAfter(users, subject, { rotations: 2, shown: 0, misuse: 'recent' }),
  ],
  [
    'a grandparent',
    (users, subject) => stolenAfter(users, subject, { rotations: 4, shown: 1, misuse: 'older' }),
  ],
  [
    'the first of many',
    (users, subject) => stolenAfter(users, subject, { rotations: 12, shown: 0, misuse: 'older' }),
  ],
  [
    'made up from one that was stolen',
    async (users, subject) => {
      const pairs = await grow(users, subject, 1);
      const token = readRefreshToken(pick(pairs, 1).refreshToken);
      if (token === undefined) throw new Error('that is no refresh token');
      const shown = writeRefreshToken({ ...token, secret: randomBytes(32) });
      recordSecret(shown);
      return { pairs, shown, misuse: 'unknown' };
    },
  ],
  [
    'the right one without the proof of its owner',
    (users, subject) => boundSession(users, subject, undefined),
  ],
  [
    'the right one with the proof of somebody else',
    (users, subject) => boundSession(users, subject, { kind: 'dpop', value: `${'T'.repeat(42)}A` }),
  ],
];

/** Of which there is something to remember: a predecessor, one before that, and a binding. */
const AFTER_RESTART = new Set([0, 2, 6]);

describeWithRedis('a refresh token in other hands', () => {
  let redis: RedisServer;
  let setting: InstanceOptions;
  let instances: readonly Instance[];
  /** Those that are gone, too. */
  let everyone: readonly Instance[];
  let users: readonly SessionClient[];
  /** Each connection that looks at a token looks at nothing else. */
  let opened: SessionClient[];
  let bystanders: Pair[];
  let reported: { readonly sessionId: string; readonly misuse: Misuse }[];
  /** Milliseconds from the answer to the thief to the last acceptance, of each token and instance. */
  let delays: number[];
  /** Those that are too long for what the instance knew of the log. */
  let late: string[];

  beforeAll(async () => {
    redis = await startRedis({ args: ['--appendonly', 'yes', '--appendfsync', 'always'] });
    setting = sessionSetting(redis, {
      sessions: { reuseGrace: `${GRACE}ms` },
      outage: { maxLag: MAX_LAG },
    });
    [opened, bystanders, reported, delays, late, everyone] = [[], [], [], [], [], []];
    await startInstances();
  });

  afterAll(async () => {
    for (const client of opened) client.close();
    await Promise.all(everyone.map(({ process }) => process.stop()));
    await redis.stop();
  });

  async function startInstances(): Promise<void> {
    instances = await Promise.all(Array.from({ length: INSTANCES }, () => Instance.start(setting)));
    everyone = [...everyone, ...instances];
    users = instances.map(newClient);
  }

  function newClient(instance: Instance): SessionClient {
    const client = new SessionClient(instance);
    opened.push(client);
    return client;
  }

  /** Looks at a token all the time, until it is refused: when it was last accepted. */
  async function lookUntilRefused(instance: Instance, { accessToken }: Pair): Promise<LastLook> {
    const client = newClient(instance);
    let last: LastLook = { acceptedAt: 0, lag: 0 };
    await eventually('it is refused', async () => {
      const { status, at, lag } = await client.check(accessToken);
      if (at !== undefined) last = { acceptedAt: at, lag };
      return status === 401;
    });
    client.close();
    return last;
  }

  async function steal({ pairs, shown, shownWith = {}, misuse }: Stolen, round: number) {
    const { sessionId } = pick(pairs, 0);
    const owners = pick(pairs, pairs.length - 1);
    const looks = [pick(pairs, 0), owners].flatMap((pair) =>
      instances.map((instance) => lookUntilRefused(instance, pair)),
    );
    const thief = pick(users, round);
    const { status } = await thief.insistOnRefresh(shown, { refresh: shownWith });
    const answeredAt = instant();
    expect(status).toBe(401);
    // Not even who has the right one gets on, wherever.
    for (const user of users) {
      const { refreshToken } = owners;
      expect(await user.insistOnRefresh(refreshToken)).toEqual({ status: 401, pair: undefined });
    }
    for (const { acceptedAt, lag } of await Promise.all(looks)) {
      const delay = Math.max(0, acceptedAt - answeredAt);
      delays.push(delay);
      // Who stood still has not heard of it, and says so; who has heard refuses.
      if (delay > Math.max(AT_MOST, lag + 1)) late.push(`${delay} ms, ${lag} ms behind`);
    }
    reported.push({ sessionId, misuse });
  }

  async function expectJustThat(): Promise<void> {
    expect(late).toEqual([]);
    await eventually(
      'every owner was told',
      () => saidOfThefts(everyone, 'notified').length >= reported.length,
    );
    for (const type of ['refresh.reused', 'notified'] as const) {
      const said = saidOfThefts(everyone, type).map(({ sessionId, misuse }) => ({
        sessionId,
        misuse,
      }));
      const order = (list: typeof reported) =>
        list.toSorted((a, b) => a.sessionId.localeCompare(b.sessionId));
      expect(order(said as typeof reported)).toEqual(order(reported));
    }
    const left = await storedGenerations(redis);
    expect(new Set(left.keys())).toEqual(new Set(bystanders.map(({ sessionId }) => sessionId)));
    for (const [place, bystander] of bystanders.entries()) {
      for (const user of users) expect(await user.accepts(bystander.accessToken)).toBe(true);
      bystanders[place] = await pick(users, place).mustRefresh(bystander.refreshToken);
    }
  }

  it.each(PATTERNS)('%s: it ends its session everywhere, once', async (name, pattern) => {
    const subject = name.replaceAll(/\W/g, '-');
    bystanders.push(await pick(users, 0).start(subject), await pick(users, 1).start('another'));
    const stolen = await Promise.all(
      Array.from({ length: ROUNDS }, (_, round) =>
        pattern([...users.slice(round % INSTANCES), ...users], subject),
      ),
    );
    for (const [round, one] of stolen.entries()) await steal(one, round);
    await expectJustThat();
  });

  it('a guess by the sid, which is no secret, ends nothing', async () => {
    const session = await pick(users, 0).start('guessed');
    bystanders.push(session);
    const token = readRefreshToken(session.refreshToken);
    if (token === undefined) throw new Error('that is no refresh token');
    for (const user of users) {
      const lineage = randomBytes(16);
      for (const secret of [token.secret, randomBytes(32)]) {
        const guess = writeRefreshToken({ ...token, lineage, secret });
        expect((await user.insistOnRefresh(guess)).status).toBe(401);
      }
    }
    await expectJustThat();
  });

  it('after a restart of all instances and of Redis, what was used stays used', async () => {
    const patterns = PATTERNS.filter((_, place) => AFTER_RESTART.has(place));
    const sessions = await Promise.all(
      patterns.map(([, pattern], place) => pattern(users, `restarted-${place}`)),
    );
    // One that ended before: nobody is told a second time.
    const ended = await stolenAfter(users, 'ended', { rotations: 2, shown: 0, misuse: 'recent' });
    await steal(ended, 0);
    await Promise.all(instances.map(({ process }) => process.stop('SIGKILL')));
    await redis.kill();
    await redis.restart();
    await startInstances();
    for (const [round, one] of sessions.entries()) await steal(one, round);
    for (const { refreshToken, accessToken } of ended.pairs) {
      for (const user of users) {
        expect((await user.insistOnRefresh(refreshToken)).status).toBe(401);
        expect(await user.accepts(accessToken)).toBe(false);
      }
    }
    await expectJustThat();
    const [p50, p99, max] = [0.5, 0.99, 1].map((share) => percentile(delays, share).toFixed(1));
    process.stdout.write(
      `${reported.length} thefts on ${INSTANCES} instances, ${delays.length} looks: last acceptance ` +
        `p50 ${p50}, p99 ${p99}, at most ${max} ms after the answer to the thief\n`,
    );
  });
});
