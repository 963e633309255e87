import type { OnStale } from '../../lib/kernel/outage.js';
import {
  describeWithRedis,
  eventually,
  type RedisServer,
  startRedis,
} from '../support/redis-server.js';
import { startSentinelSet } from '../support/redis-topologies.js';
import { Instance, type InstanceOptions, type SaidEvent } from './instances.js';
import { type GivenAnswer, judgeAnswers } from './revocation-answers.js';
import { Client, KINDS, type Login } from './revocation-clients.js';
import { newEncryptionKey, pick } from './revocation-figures.js';

const MAX_LAG = 2_000;

/** Milliseconds between the requests of a client. */
const PAUSE = 25;

const PREFIX = 'faults:';

/** Revoked before anything happens, some of each kind. */
const REVOKED = 40;

/** One that says 503 once it is behind, and one that goes on. */
const USUALLY: readonly OnStale[] = ['reject', 'acceptWithAlert'];

function onStaleAt(path: string, usually: OnStale): OnStale {
  if (path === '/strict') return 'reject';
  return path === '/lenient' ? 'acceptWithAlert' : usually;
}

/** Ask for every route of both instances all the time, with a good token and with revoked ones. */
class Clients {
  readonly answers: GivenAnswer[] = [];
  #isOver = false;
  readonly #done: Promise<unknown>;

  constructor(instances: readonly Instance[], good: Login, revoked: readonly Login[]) {
    const routes = ['/check', '/strict', '/lenient'];
    this.#done = Promise.all(
      instances.flatMap((instance, place) =>
        routes.map((path) => {
          const onStale = onStaleAt(path, pick(USUALLY, place));
          return this.#visit(new Client(instance), path, onStale, good, revoked);
        }),
      ),
    );
  }

  /** What was answered to which tokens where this holds. */
  statuses(onStale: OnStale, wasRevoked: 'revoked' | 'good'): ReadonlySet<number> {
    const given = this.answers.filter(
      (one) => one.onStale === onStale && one.wasRevoked === (wasRevoked === 'revoked'),
    );
    return new Set(given.map(({ answer }) => answer.status));
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#done;
  }

  async #visit(
    client: Client,
    path: string,
    onStale: OnStale,
    good: Login,
    revoked: readonly Login[],
  ): Promise<void> {
    for (let round = 0; !this.#isOver; round++) {
      for (const login of [good, pick(revoked, round)]) {
        const answer = await client.get(path, login.token);
        this.answers.push({ onStale, wasRevoked: login !== good, answer });
      }
      await new Promise((resolve) => setTimeout(resolve, PAUSE));
    }
    client.close();
  }
}

describeWithRedis('revocation while Redis fails', () => {
  let stopRedis: () => Promise<void>;
  let setting: InstanceOptions;
  let instances: readonly Instance[];
  let judges: readonly Client[];
  let good: Login;
  /** Whether it is revoked nobody can say: the store did not answer. */
  let doubtful: Login;
  let revoked: readonly Login[];
  let clients: Clients;

  async function start(
    store: Pick<InstanceOptions, 'redisUrl' | 'sentinels' | 'redis'>,
  ): Promise<void> {
    setting = {
      ...store,
      keyPrefix: PREFIX,
      silent: ['token.rejected', 'access.denied', 'revocation.made'],
      options: {
        keys: { encryptionKeys: newEncryptionKey() },
        tokens: { accessTtl: '1h' },
      },
    };
    instances = await Promise.all(
      USUALLY.map((onStale) =>
        Instance.start({
          ...setting,
          options: { ...setting.options, outage: { maxLag: `${MAX_LAG}ms`, onStale } },
        }),
      ),
    );
    judges = instances.map((instance) => new Client(instance));
    const names = Array.from({ length: REVOKED + 2 }, (_, number) => ({
      sub: `user-${number}`,
      sid: `session-${number}`,
    }));
    const [first, second, ...others] = await pick(judges, 0).login(names);
    if (first === undefined || second === undefined) throw new Error('nobody was logged in');
    [good, doubtful, revoked] = [first, second, others];
    for (const [number, login] of revoked.entries()) {
      await eventually('it is acknowledged', async () => {
        const { status } = await pick(judges, number).revoke(pick(KINDS, number), login);
        return status === 201;
      });
    }
    await eventually('both know them', async () => (await acceptedAnywhere(revoked)) === 0);
    clients = new Clients(instances, good, revoked);
  }

  async function startOn(redis: RedisServer): Promise<void> {
    stopRedis = () => redis.stop();
    await start({ redisUrl: redis.url });
  }

  afterEach(async () => {
    await clients.stop();
    for (const judge of judges) judge.close();
    await Promise.all(instances.map(({ process }) => process.stop()));
    await stopRedis();
  });

  async function acceptedAnywhere(logins: readonly Login[]): Promise<number> {
    const accepted = await Promise.all(judges.map((judge) => judge.acceptedOf(logins)));
    return accepted.flat().length;
  }

  function said(instance: Instance): readonly string[] {
    return instance
      .events()
      .map(({ type }) => type)
      .filter((type) => type.startsWith('revocation.'));
  }

  function countSaid(type: string): number {
    return instances.flatMap(said).filter((one) => one === type).length;
  }

  async function healths(): Promise<readonly string[]> {
    const all = instances.map((one) => one.get<{ readonly status: string }>('/health'));
    return (await Promise.all(all)).map(({ status }) => status);
  }

  async function everyoneIs(status: string): Promise<void> {
    await eventually(`everyone is ${status}`, async () =>
      (await healths()).every((one) => one === status),
    );
  }

  /** The store is away: nothing is acknowledged, and what holds at each route is kept to. */
  async function expectOutage(): Promise<void> {
    await everyoneIs('stale');
    const seen = clients.answers.length;
    await eventually('every client has asked again', () => clients.answers.length > seen + 50);
    for (const judge of judges) {
      const { status, retryAfter } = await judge.revoke('token', doubtful);
      expect([status, retryAfter]).toEqual([503, '1']);
    }
  }

  async function expectService(): Promise<void> {
    await everyoneIs('ok');
    await eventually('everyone serves again', async () =>
      (await Promise.all(judges.map((one) => one.get('/strict', good.token)))).every(
        ({ status }) => status === 200,
      ),
    );
  }

  /** After an outage that everyone has noticed. */
  async function expectRightAnswers(): Promise<void> {
    await clients.stop();
    expect(judgeAnswers(clients.answers, MAX_LAG)).toEqual([]);
    expect(clients.statuses('reject', 'good')).toEqual(new Set([200, 503]));
    expect(clients.statuses('acceptWithAlert', 'good')).toEqual(new Set([200]));
    expect(clients.statuses('reject', 'revoked')).toEqual(new Set([401, 503]));
    expect(clients.statuses('acceptWithAlert', 'revoked')).toEqual(new Set([401]));
    for (const [place, instance] of instances.entries()) {
      const onStale = pick(USUALLY, place);
      const turns = (): readonly SaidEvent[] =>
        instance.events().filter(({ type }) => /^revocation\.(?:stale|current)$/.test(type));
      // Once for the outage, and once more for each stall of the machine that is as long.
      await eventually('it says that it is current', () => turns().length % 2 === 0);
      const outage = [
        expect.objectContaining({ type: 'revocation.stale', onStale }),
        expect.objectContaining({ type: 'revocation.current' }),
      ];
      expect(turns().length).toBeGreaterThan(0);
      expect(turns()).toEqual(Array.from({ length: turns().length / 2 }, () => outage).flat());
    }
    expect(instances.flatMap((one) => one.events()).map(({ type }) => type)).not.toContain(
      'unhandledRejection',
    );
  }

  /** One that was not there knows of them only from the log. */
  async function expectRefusedByNewcomer(logins: readonly Login[]): Promise<void> {
    const fresh = await Instance.start(setting);
    const judge = new Client(fresh);
    expect(await judge.acceptedOf([good, ...logins])).toEqual([good]);
    judge.close();
    await fresh.process.stop();
  }

  async function expectRefilled(): Promise<void> {
    await eventually('everyone has noticed', () => countSaid('revocation.lost') >= 2);
    await eventually('all is given back', () => countSaid('revocation.refilled') >= 2);
  }

  it('killed and restarted empty: each route keeps to its bound, and the log comes back', async () => {
    const redis = await startRedis();
    await startOn(redis);
    await redis.kill();
    await expectOutage();
    await redis.restart();
    await expectService();
    await expectRefilled();
    await expectRefusedByNewcomer(revoked);
    await expectRightAnswers();
  });

  it('paused: each route keeps to its bound, and is back with all there was', async () => {
    const redis = await startRedis();
    await startOn(redis);
    redis.pause();
    await expectOutage();
    redis.resume();
    await expectService();
    expect(countSaid('revocation.lost')).toBe(0);
    await expectRefusedByNewcomer(revoked);
    await expectRightAnswers();
  });

  it('wiped while it runs: it is noticed, said, and put right before anyone is hurt', async () => {
    const redis = await startRedis();
    await startOn(redis);
    await redis.command('FLUSHALL');
    await expectRefilled();
    await everyoneIs('ok');
    await expectRefusedByNewcomer(revoked);
    await clients.stop();
    expect(judgeAnswers(clients.answers, MAX_LAG)).toEqual([]);
    expect(clients.statuses('reject', 'revoked')).not.toContain(200);
  });

  it('failed over by Sentinels: what was acknowledged by a replica holds', async () => {
    const set = await startSentinelSet(2);
    stopRedis = () => set.stop();
    const client = set.connect();
    const { sentinels = [], name = '' } = client.options;
    client.disconnect();
    const addresses = sentinels.map(({ host = '127.0.0.1', port = 0 }) => ({ host, port }));
    await start({
      sentinels: { name, sentinels: addresses },
      redis: { replicas: 1, waitFor: '2s', deadline: '2s' },
    });
    const late = await pick(judges, 0).loginOne('late', 'late-session');
    await set.primary.kill();
    await eventually(
      'it is acknowledged again',
      async () => (await pick(judges, 1).revoke('session', late)).status === 201,
    );
    await expectService();
    await eventually('both know', async () => (await acceptedAnywhere([late, ...revoked])) === 0);
    await expectRefusedByNewcomer([late, ...revoked]);
    await clients.stop();
    expect(judgeAnswers(clients.answers, MAX_LAG)).toEqual([]);
  });
});

describe('the judge of answers', () => {
  const standing = (lag: number, keys = 'ok') => ({ lag, keys });
  const given = (changes: Partial<GivenAnswer['answer']> & Partial<GivenAnswer>): GivenAnswer => {
    const { onStale = 'reject', wasRevoked = false, ...answer } = changes;
    const kept = { status: 200, retryAfter: '5', before: standing(10), after: standing(11) };
    return { onStale, wasRevoked, answer: { ...kept, ...answer } };
  };
  const stale = { before: standing(2_001), after: standing(2_002) };
  const heard = { before: standing(2_001), after: standing(0) };

  it.each([
    ['a good token that passes', given({})],
    ['a revoked one that does not', given({ wasRevoked: true, status: 401 })],
    ['a refusal beyond the bound', given({ ...stale, status: 503 })],
    [
      'an acceptance beyond it where that was chosen',
      given({ ...stale, onStale: 'acceptWithAlert' }),
    ],
    ['an acceptance when the log was just heard of', given(heard)],
    ['a refusal when the log was just heard of', given({ ...heard, status: 503 })],
    ['a refusal because of the keys', given({ status: 503, before: standing(10, 'stale') })],
  ])('finds nothing wrong with %s', (_, answer) => {
    expect(judgeAnswers([answer], 2_000)).toEqual([]);
  });

  it.each([
    ['a revoked token that passes', given({ wasRevoked: true }), /although it was revoked/],
    ['a good one that is called bad', given({ status: 401 }), /nothing is wrong/],
    ['an acceptance beyond the bound', given(stale), /from beyond/],
    ['a 401 beyond it', given({ ...stale, wasRevoked: true, status: 401 }), /from beyond/],
    ['a refusal within it', given({ status: 503 }), /within the bound/],
    [
      'a refusal where it was to go on',
      given({ ...stale, onStale: 'acceptWithAlert', status: 503 }),
      /to go on/,
    ],
    [
      'a refusal that says nothing of later',
      given({ ...stale, status: 503, retryAfter: undefined }),
      /without/,
    ],
    ['an error', given({ status: 500 }), /nothing it may say/],
  ])('finds %s', (_, answer, complaint) => {
    expect(judgeAnswers([answer], 2_000).join()).toMatch(complaint);
  });
});
