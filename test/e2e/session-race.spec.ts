import {
  describeWithRedis,
  eventually,
  type RedisServer,
  startRedis,
} from '../support/redis-server.js';
import { Instance } from './instances.js';
import { instant } from './revocation-clients.js';
import { pick } from './revocation-figures.js';
import { type Pair, type Refreshed, SessionClient } from './session-clients.js';
import { saidOfThefts, sessionSetting, storedGenerations } from './session-instances.js';

/** Of each grace. The brief's thousand take some minutes: `SESSION_ROUNDS=1000`. */
const ROUNDS = Number(process.env['SESSION_ROUNDS'] ?? 20);

const INSTANCES = 3;

/** Uses of one refresh token at a time, over all instances. */
const USES = 50;

/** Milliseconds of the longer grace. */
const GRACE = 10_000;

describeWithRedis('one refresh token used many times at once, on three processes', () => {
  let redis: RedisServer;
  let instances: readonly Instance[];
  let users: readonly SessionClient[];
  /** One of each instance. */
  let judges: readonly SessionClient[];

  async function start(reuseGrace: '0s' | '10s'): Promise<void> {
    redis = await startRedis();
    const setting = sessionSetting(redis, { sessions: { reuseGrace } });
    instances = await Promise.all(Array.from({ length: INSTANCES }, () => Instance.start(setting)));
    judges = instances.map((instance) => new SessionClient(instance));
    users = Array.from({ length: USES }, (_, place) => new SessionClient(pick(instances, place)));
    // Every connection is there before anything is measured by it.
    await Promise.all(users.map((user) => user.check('none')));
  }

  afterEach(async () => {
    for (const client of [...users, ...judges]) client.close();
    await Promise.all(instances.map(({ process }) => process.stop()));
    await redis.stop();
  });

  /** All of them at once: each instance lets go of its share in one turn of its loop. */
  function race({ refreshToken }: Pair): Promise<readonly Refreshed[]> {
    return Promise.all(
      users.map((user, place) => {
        const barrier = Math.ceil((USES - (place % INSTANCES)) / INSTANCES);
        return user.refresh(refreshToken, { barrier });
      }),
    );
  }

  function given(answers: readonly Refreshed[]): readonly Pair[] {
    return answers.flatMap(({ pair }) => pair ?? []);
  }

  function lineages(pairs: readonly Pair[]): ReadonlySet<string> {
    return new Set(pairs.map(({ refreshToken }) => refreshToken));
  }

  it(`${ROUNDS} rounds without grace: one gets through, and then nobody any more`, async () => {
    await start('0s');
    for (let round = 0; round < ROUNDS; round++) {
      const session = await pick(judges, round).start(`user-${round}`);
      const answers = await race(session);
      const winners = given(answers);
      expect(winners).toHaveLength(1);
      expect(answers.filter(({ status }) => status === 401)).toHaveLength(USES - 1);
      const winner = pick(winners, 0);
      const after = await Promise.all(judges.map((one) => one.refresh(winner.refreshToken)));
      expect(after.map(({ status }) => status)).toEqual(judges.map(() => 401));
      for (const { accessToken } of [session, winner]) {
        await eventually('no instance accepts its access tokens', async () =>
          (await Promise.all(judges.map((one) => one.accepts(accessToken)))).every((is) => !is),
        );
      }
    }
    const reuses = saidOfThefts(instances, 'refresh.reused').map(({ sessionId }) => sessionId);
    expect(reuses).toHaveLength(ROUNDS);
    expect(new Set(reuses)).toHaveProperty('size', ROUNDS);
    expect(await storedGenerations(redis)).toEqual(new Map());
    process.stdout.write(`${ROUNDS} x ${USES} uses at once, grace 0: never two lineages\n`);
  });

  it(`${ROUNDS} rounds with grace: all get the same successor, and it works`, async () => {
    await start('10s');
    const stretched = new Set<string>();
    const expected = new Map<string, number>();
    for (let round = 0; round < ROUNDS; round++) {
      const session = await pick(judges, round).start(`user-${round}`);
      const startedAt = instant();
      const answers = await race(session);
      // Of a machine that stood still for as long as the grace nothing can be asked.
      if (instant() - startedAt > GRACE) {
        stretched.add(session.sessionId);
        continue;
      }
      const winners = given(answers);
      expect(winners).toHaveLength(USES);
      expect(lineages(winners)).toHaveProperty('size', 1);
      const successor = pick(winners, round);
      expect(new Set(winners.map(({ accessToken }) => accessToken))).toHaveProperty('size', USES);
      // Everyone goes on from there, and once more.
      const next = await Promise.all(judges.map((one) => one.refresh(successor.refreshToken)));
      expect(lineages(given(next))).toHaveProperty('size', 1);
      expect(next.map(({ status }) => status)).toEqual(judges.map(() => 201));
      const last = await pick(judges, round + 1).mustRefresh(pick(given(next), 0).refreshToken);
      for (const { accessToken } of [pick(winners, round + 1), last]) {
        const accepts = await Promise.all(judges.map((one) => one.accepts(accessToken)));
        expect(accepts).toEqual(judges.map(() => true));
      }
      expected.set(session.sessionId, 3);
    }
    expect(stretched.size).toBeLessThan(ROUNDS / 2);
    const generations = await storedGenerations(redis);
    for (const [sessionId, generation] of expected) {
      expect(generations.get(sessionId)).toBe(generation);
    }
    const reused = saidOfThefts(instances, 'refresh.reused').map(({ sessionId }) => sessionId);
    expect(reused.filter((sessionId) => !stretched.has(sessionId))).toEqual([]);
    process.stdout.write(
      `${ROUNDS} x ${USES} uses at once, grace 10 s: one successor for all of them` +
        `, ${stretched.size} rounds void\n`,
    );
  });
});
