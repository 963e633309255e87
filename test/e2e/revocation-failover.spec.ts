import { describeWithRedis, eventually, type RedisServer } from '../support/redis-server.js';
import { type ReplicatedRedis, startReplicatedRedis } from '../support/redis-failover.js';
import { Instance, type InstanceOptions, type SaidEvent } from './instances.js';
import { Client, instant, type Login } from './revocation-clients.js';
import { newEncryptionKey, pick } from './revocation-figures.js';
import { type Acknowledged, markOf, readLog, RevocationLoad } from './revocation-load.js';

/** The brief's fifty take two minutes: `REVOCATION_FAILOVERS=50`. */
const FAILOVERS = Number(process.env['REVOCATION_FAILOVERS'] ?? 2);

/** Revoked around each of them. */
const EACH = 80;

/** So many are acknowledged before the primary is killed, the others meanwhile and after. */
const BEFORE = 20;

const LANES = 3;

/** Milliseconds to the replica, and so the window without waiting. */
const AWAY = 20;

const PREFIX = 'failover:';

describeWithRedis('a primary that is killed while revocations come in', () => {
  let redis: ReplicatedRedis;
  let instances: readonly Instance[];
  let judges: readonly Client[];
  let load: RevocationLoad;

  const start = async (
    settings: NonNullable<InstanceOptions['redis']>,
  ): Promise<InstanceOptions> => {
    redis = await startReplicatedRedis(AWAY);
    const setting: InstanceOptions = {
      redisUrl: redis.url,
      keyPrefix: PREFIX,
      redis: settings,
      silent: ['token.rejected', 'revocation.made'],
      options: {
        keys: { encryptionKeys: newEncryptionKey() },
        tokens: { accessTtl: '1h' },
        outage: { maxLag: '1m' },
      },
    };
    instances = await Promise.all([Instance.start(setting), Instance.start(setting)]);
    judges = instances.map((instance) => new Client(instance));
    load = new RevocationLoad(instances, LANES);
    return setting;
  };

  afterEach(async () => {
    for (const client of [load, ...judges]) client.close();
    await Promise.all(instances.map(({ process }) => process.stop()));
    await redis.stop();
  });

  /**
   * Answers those that were acknowledged by then and that the next primary does not have.
   * @param isDue when to kill it, once some are acknowledged
   */
  async function failOverUnderLoad(
    isDue: (acknowledged: readonly Login[]) => Promise<boolean> = async () => true,
  ): Promise<readonly Acknowledged[]> {
    const logins = await load.logins(EACH);
    const known = load.acknowledged.length;
    const revoking = load.revoke(logins);
    await eventually('some are acknowledged', () => load.acknowledged.length >= known + BEFORE);
    const before = load.acknowledged.slice(known).map(({ login }) => login);
    await eventually('the primary may be killed', () => isDue(before));
    const { log, promotedAt } = await redis.failOver(look);
    await revoking;
    return load.acknowledged.filter(
      (one) => one.acknowledgedAt < promotedAt && !log.has(markOf(one)),
    );
  }

  async function isRefusedByAll(logins: readonly Login[]): Promise<boolean> {
    const accepted = await Promise.all(judges.map((judge) => judge.acceptedOf(logins)));
    return accepted.flat().length === 0;
  }

  async function look(
    candidate: RedisServer,
  ): Promise<{ readonly log: ReadonlySet<string>; readonly promotedAt: number }> {
    return { log: await readLog(candidate, PREFIX), promotedAt: instant() };
  }

  /** A new instance knows what the log says, and nothing else. */
  async function expectAllRefusedBy(fresh: Instance): Promise<void> {
    const judge = new Client(fresh);
    const logins = load.acknowledged.map(({ login }) => login);
    expect(await judge.acceptedOf(logins)).toEqual([]);
    const newcomer = await judge.loginOne('newcomer');
    expect(await judge.acceptedOf([newcomer])).toEqual([newcomer]);
    judge.close();
    await fresh.process.stop();
  }

  function countSaid(type: string): number {
    return instances.flatMap((one) => one.events()).filter((event) => event.type === type).length;
  }

  /** Whether it said, after so many events, that the log was lost and then that it was refilled. */
  function hasRecovered(instance: Instance, after: number | undefined): boolean {
    const types = instance.events().map(({ type }) => type);
    const lostAt = types.lastIndexOf('revocation.lost');
    return lostAt >= (after ?? Infinity) && types.lastIndexOf('revocation.refilled') > lostAt;
  }

  it(`${FAILOVERS} times, with a replica that is waited for: nothing acknowledged is lost`, async () => {
    const setting = await start({ replicas: 1, waitFor: '2s', deadline: '2s' });
    for (let round = 0; round < FAILOVERS; round++) {
      expect(await failOverUnderLoad()).toEqual([]);
      const logins = load.acknowledged.slice(-EACH).map(({ login }) => login);
      await eventually('everyone refuses them', () => isRefusedByAll(logins));
    }
    expect(load.wrong).toEqual([]);
    expect(load.acknowledged).toHaveLength(FAILOVERS * EACH);
    process.stdout.write(
      `${FAILOVERS} failovers with WAIT: ${load.acknowledged.length} acknowledged, none lost; ` +
        `${load.unacknowledged} answers were 503; the log fell back ${countSaid('revocation.lost')} times\n`,
    );
    await expectAllRefusedBy(await Instance.start(setting));
  });

  it('without waiting: what the replica had not heard yet comes back from the instances', async () => {
    const setting = await start({ deadline: '2s' });
    let lost = 0;
    for (let round = 0; round < FAILOVERS / 2; round++) {
      lost += (await failOverUnderLoad()).length;
      const logins = load.acknowledged.slice(-EACH).map(({ login }) => login);
      await eventually('everyone refuses them', () => isRefusedByAll(logins));
    }
    process.stdout.write(
      `${FAILOVERS / 2} failovers without WAIT: ${load.acknowledged.length} acknowledged, ` +
        `${lost} not on a replica that is ${AWAY} ms away\n`,
    );
    // One that is far behind: everything since then is gone with the primary.
    redis.deafenReplica();
    const heard = instances.map((one) => one.events().length);
    const missing = await failOverUnderLoad(isRefusedByAll);
    expect(missing.length).toBeGreaterThanOrEqual(BEFORE);
    expect(load.wrong).toEqual([]);
    await eventually('the instances have noticed, and given back what they know', () =>
      instances.every((one, place) => hasRecovered(one, heard[place])),
    );
    await expectAllRefusedBy(await Instance.start(setting));
  });

  it('a replica that hears nothing: nothing is acknowledged, and nobody is told otherwise', async () => {
    const setting = await start({ replicas: 1, waitFor: '200ms', deadline: '2s' });
    const [login] = await load.logins(1);
    if (login === undefined) throw new Error('nobody was logged in');
    redis.deafenReplica();
    const { status, retryAfter } = await pick(judges, 0).revoke('token', login);
    expect([status, retryAfter]).toEqual([503, '1']);
    const said = (): SaidEvent | undefined =>
      pick(instances, 0)
        .events()
        .find(({ type }) => type === 'revocation.unacknowledged');
    await eventually('it is said', () => said() !== undefined);
    expect(said()).toMatchObject({ kind: 'token', code: 'ERR_STORE_UNAVAILABLE' });
    await redis.failOver(look);
    // Whoever asked asks again.
    await load.revoke([login]);
    expect(load.wrong).toEqual([]);
    await expectAllRefusedBy(await Instance.start(setting));
  });
});
