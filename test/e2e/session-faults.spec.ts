import { type ReplicatedRedis, startReplicatedRedis } from '../support/redis-failover.js';
import {
  describeWithRedis,
  eventually,
  type RedisServer,
  startRedis,
} from '../support/redis-server.js';
import { Instance, type InstanceOptions } from './instances.js';
import { instant } from './revocation-clients.js';
import { pick } from './revocation-figures.js';
import { SessionClient } from './session-clients.js';
import { saidOfThefts, sessionSetting, storedGenerations } from './session-instances.js';
import { SessionLoad } from './session-load.js';

/** Milliseconds that a successor is owed for: longer than any outage here. */
const GRACE = 60_000;

const USERS = 6;

/** Milliseconds to the replica. */
const AWAY = 5;

describeWithRedis('sessions while Redis fails', () => {
  let stopRedis: () => Promise<void>;
  let instances: readonly Instance[];
  let judge: SessionClient;
  let load: SessionLoad;

  async function start(
    url: string,
    redis: NonNullable<InstanceOptions['redis']> = { deadline: '1s' },
  ): Promise<void> {
    const options = { sessions: { reuseGrace: `${GRACE}ms` }, outage: { maxLag: '2s' } } as const;
    const setting = { ...sessionSetting({ url }, options), redis };
    instances = await Promise.all([Instance.start(setting), Instance.start(setting)]);
    judge = new SessionClient(pick(instances, 0));
    load = new SessionLoad(instances, { users: USERS, tabs: 2, grace: GRACE });
    load.start();
    await refreshing();
  }

  afterEach(async () => {
    await load.stop();
    judge.close();
    await Promise.all(instances.map(({ process }) => process.stop()));
    await stopRedis();
  });

  /** Answers how many milliseconds that took. */
  async function refreshing(): Promise<number> {
    const [from, refreshes] = [instant(), load.refreshes];
    await eventually('every user goes on', () => load.refreshes > refreshes + 2 * USERS);
    return instant() - from;
  }

  /** Everyone asks, and nobody is told anything but that there is no answer now. */
  async function answering503(): Promise<void> {
    const { unanswered } = load;
    await eventually('users are told to wait', () => load.unanswered > unanswered + 2 * USERS);
    const refreshes = load.refreshes;
    await eventually('and again', () => load.unanswered > unanswered + 6 * USERS);
    expect(load.refreshes).toBe(refreshes);
  }

  function say(what: string, took: number): void {
    process.stdout.write(
      `${what}: ${load.refreshes} refreshes, ${load.unanswered} answers were 503, ` +
        `all go on ${(took / 1_000).toFixed(1)} s after it is back\n`,
    );
  }

  /** Everyone went on, with the one chain that is stored. */
  async function expectOneChainEach(url: string): Promise<void> {
    await load.stop();
    expect(load.wrong).toEqual([]);
    expect(load.out).toEqual(new Set());
    const stored = await storedGenerations({ url });
    expect(load.alive.size).toBe(USERS);
    for (const [sessionId, { pair, rotations }] of load.alive) {
      expect(stored.get(sessionId)).toBe(rotations);
      await judge.mustRefresh(pair.refreshToken);
    }
    expect(saidOfThefts(instances, 'refresh.reused')).toEqual([]);
  }

  async function startOn(redis: RedisServer): Promise<RedisServer> {
    stopRedis = () => redis.stop();
    await start(redis.url);
    return redis;
  }

  it('paused: 503 for everyone, and all go on', async () => {
    const redis = await startOn(await startRedis());
    redis.pause();
    await answering503();
    redis.resume();
    say('paused', await refreshing());
    await expectOneChainEach(redis.url);
  });

  it('killed and restarted with its data: 503 for everyone, and all go on', async () => {
    const args = ['--appendonly', 'yes', '--appendfsync', 'always'];
    const redis = await startOn(await startRedis({ args }));
    await redis.kill();
    await answering503();
    await redis.restart();
    say('killed', await refreshing());
    await expectOneChainEach(redis.url);
  });

  it('restarted empty: all are cleanly out, and can log in again', async () => {
    const redis = await startOn(await startRedis());
    const lost = [...load.alive.values()].map(({ pair }) => pair);
    await redis.kill();
    await answering503();
    const { wrong } = load;
    expect(wrong).toEqual([]);
    await redis.restart();
    const from = instant();
    await eventually('everyone is out', () => load.out.size >= USERS);
    const took = instant() - from;
    await refreshing();
    say('restarted empty', took);
    await load.stop();
    // Which is what they were told: nothing else went wrong, and nobody was called a thief.
    // Of two tabs one can have been answered before.
    const outs = /^a good token was answered with (?:201|401),(?:201|401)$/;
    expect(load.wrong.filter((words) => !outs.test(words))).toEqual([]);
    for (const { refreshToken } of lost) {
      expect((await judge.insistOnRefresh(refreshToken)).status).toBe(401);
    }
    for (const { pair } of load.alive.values()) await judge.mustRefresh(pair.refreshToken);
    expect(saidOfThefts(instances, 'refresh.reused')).toEqual([]);
  });

  it('failed over to a replica that is waited for: all go on', async () => {
    const redis: ReplicatedRedis = await startReplicatedRedis(AWAY);
    stopRedis = () => redis.stop();
    await start(redis.url, { replicas: 1, waitFor: '2s', deadline: '2s' });
    await redis.failOver(async () => undefined);
    say('failed over', await refreshing());
    await expectOneChainEach(redis.url);
  });
});
