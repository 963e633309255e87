import { freePort } from '../support/processes.js';
import { describeWithRedis, type RedisServer, startRedis } from '../support/redis-server.js';
import { Instance, type InstanceOptions } from './instances.js';
import { Client, instant, KINDS, type Login } from './revocation-clients.js';
import { newEncryptionKey, percentile, pick } from './revocation-figures.js';

/** The suite makes fewer than the ten thousand that figures are taken of. */
const REVOCATIONS = Number(process.env['REVOCATIONS'] ?? 1_000);
const INSTANCES = 3;

/** Revocations under way at a time. */
const LANES = 4;

const BATCH = 500;

/** What the brief allows between an acknowledgement and the last acceptance anywhere. */
const AT_MOST = 1_000;

/** Milliseconds between the requests of a client that has nothing to do with it. */
const LEISURE = 10;

/** Milliseconds after which an answer to one of those tells that the machine stalls. */
const STALL = 300;

/** Of so many revocations one is watched by requests on other instances, all others by themselves. */
const BY_REQUESTS = 10;

async function inBatches(
  logins: readonly Login[],
  visit: (batch: readonly Login[]) => Promise<readonly Login[]>,
): Promise<readonly Login[]> {
  const found: Login[] = [];
  for (let from = 0; from < logins.length; from += BATCH) {
    found.push(...(await visit(logins.slice(from, from + BATCH))));
  }
  return found;
}

/** Clients whose tokens are fine: they must never notice. What they wait for is the machine. */
class Bystanders {
  answered = 0;
  readonly #stalls: (readonly [from: number, to: number])[] = [];
  readonly refused: number[] = [];
  readonly #clients: readonly Client[];
  #isOver = false;
  readonly #done: Promise<unknown>;

  constructor(instances: readonly Instance[], redis: RedisServer, token: string) {
    this.#clients = instances.flatMap((instance) => [new Client(instance), new Client(instance)]);
    this.#done = Promise.all([
      ...this.#clients.map((client) => this.#visit(client, token)),
      this.#repeat(() => redis.command('PING')),
    ]);
  }

  /** Whether some process of the machine stood still at a time in between. */
  sawStall(from: number, to: number): boolean {
    return this.#stalls.some((stall) => stall[0] <= to && stall[1] >= from);
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#done;
    for (const client of this.#clients) client.close();
  }

  #visit(client: Client, token: string): Promise<void> {
    return this.#repeat(async () => {
      const { status } = await client.get('/check', token);
      this.answered++;
      if (status !== 200) this.refused.push(status);
    });
  }

  async #repeat(ask: () => Promise<unknown>): Promise<void> {
    while (!this.#isOver) {
      const askedAt = instant();
      await ask();
      await new Promise((resolve) => setTimeout(resolve, LEISURE));
      if (instant() - askedAt > STALL) this.#stalls.push([askedAt, instant()]);
    }
  }
}

/**
 * What a lane of revocations, one after the other, found: all instants are of CLOCK_MONOTONIC, one
 * clock for all processes of a host.
 */
class Lane {
  /** Milliseconds from an acknowledgement to the last acceptance by another instance; 0 if none. */
  readonly accepted: number[] = [];
  /** When those were that came later than the brief allows. */
  readonly late: (readonly [acknowledgedAt: number, acceptedAt: number])[] = [];
  /** To the first refusal by another instance. */
  readonly refused: number[] = [];
  /** What the instance that acknowledged let through after that, and how. */
  readonly wrong: string[] = [];
  readonly #clients: readonly Client[];

  constructor(instances: readonly Instance[]) {
    this.#clients = instances.map((instance) => new Client(instance));
  }

  async run(queue: (readonly [number, Login])[]): Promise<void> {
    for (let next = queue.pop(); next !== undefined; next = queue.pop())
      await this.#revoke(...next);
    for (const client of this.#clients) client.close();
  }

  async #revoke(number: number, login: Login): Promise<void> {
    const kind = pick(KINDS, number);
    const own = pick(this.#clients, Math.floor(number / KINDS.length));
    const others = this.#clients.filter((client) => client !== own);
    const looks = others.map((other) =>
      number % BY_REQUESTS === 0 ? other.lookUntilRefused(login) : other.watch(login),
    );
    const { acknowledgedAt, isAccepted } = await own.mustRevoke(kind, login);
    const { status } = await own.get('/check', login.token);
    if (isAccepted) this.wrong.push(`${kind}: accepted in the process`);
    if (status !== 401) this.wrong.push(`${kind}: answered with ${status} on the same connection`);
    for (const { acceptedAt, refusedAt } of await Promise.all(looks)) {
      const took = Math.max(0, (acceptedAt ?? 0) - acknowledgedAt);
      this.accepted.push(took);
      if (took > AT_MOST) this.late.push([acknowledgedAt, acknowledgedAt + took]);
      this.refused.push(Math.max(0, (refusedAt ?? Infinity) - acknowledgedAt));
    }
  }
}

function figures(values: readonly number[]): string {
  const [p50, p99, max] = [0.5, 0.99, 1].map((share) => percentile(values, share).toFixed(1));
  return `p50 ${p50}, p99 ${p99}, at most ${max} ms`;
}

describeWithRedis('revocations by three processes that serve', () => {
  let redis: RedisServer;
  let setting: InstanceOptions;
  let instances: readonly Instance[];
  let revoked: readonly Login[];

  beforeAll(async () => {
    redis = await startRedis();
    setting = {
      redisUrl: redis.url,
      keyPrefix: 'latency:',
      // How an instance waits for a machine that is busy otherwise is not what is tested here.
      redis: { deadline: '5s' },
      silent: ['token.rejected', 'revocation.made'],
      options: {
        keys: { encryptionKeys: newEncryptionKey() },
        tokens: { accessTtl: '1h' },
        outage: { maxLag: '30s' },
      },
    };
    instances = await Promise.all(Array.from({ length: INSTANCES }, () => Instance.start(setting)));
    const issuer = new Client(pick(instances, 0));
    const logins: Login[] = [];
    for (let from = 0; from < REVOCATIONS; from += BATCH) {
      const names = Array.from({ length: BATCH }, (_, place) => ({
        sub: `user-${from + place}`,
        sid: `session-${from + place}`,
      }));
      logins.push(...(await issuer.login(names)));
    }
    issuer.close();
    revoked = logins;
  });

  afterAll(async () => {
    await Promise.all(instances.map(({ process }) => process.stop()));
    await redis.stop();
  });

  it(`${REVOCATIONS} of them: none is accepted here once acknowledged, nor elsewhere for long`, async () => {
    const judges = instances.map((instance) => new Client(instance));
    const issuer = pick(judges, 0);
    const bystander = await issuer.loginOne('bystander', 'session-of-a-bystander');
    for (const judge of judges) {
      expect(await inBatches(revoked, (batch) => judge.acceptedOf(batch))).toHaveLength(
        REVOCATIONS,
      );
    }
    const bystanders = new Bystanders(instances, redis, bystander.token);
    const lanes = Array.from({ length: LANES }, () => new Lane(instances));
    const queue = [...revoked.entries()];
    const startedAt = instant();
    await Promise.all(lanes.map((lane) => lane.run(queue)));
    const took = (instant() - startedAt) / 1_000;
    await bystanders.stop();

    expect(lanes.flatMap(({ wrong }) => wrong)).toEqual([]);
    const accepted = lanes.flatMap((lane) => lane.accepted);
    const refused = lanes.flatMap((lane) => lane.refused);
    expect(accepted).toHaveLength(REVOCATIONS * (INSTANCES - 1));
    process.stdout.write(
      `${REVOCATIONS} revocations in ${took.toFixed(0)} s, ${bystanders.answered} requests of others: ` +
        `last acceptance elsewhere ${figures(accepted)} after the acknowledgement, ` +
        `first refusal there ${figures(refused)}\n`,
    );
    const late = lanes.flatMap((lane) => lane.late);
    // Late is only who was held up, as everyone was; and a machine is not held up all the time.
    expect(late.filter((span) => !bystanders.sawStall(...span))).toEqual([]);
    expect(late.length).toBeLessThan(accepted.length / 100);
    // Nobody else was refused, and nobody who was revoked has come back.
    expect(bystanders.refused).toEqual([]);
    for (const judge of judges) {
      expect(await inBatches(revoked, (batch) => judge.acceptedOf(batch))).toEqual([]);
      expect(await judge.acceptedOf([bystander])).toEqual([bystander]);
      judge.close();
    }
  });

  it('a fourth that starts meanwhile refuses them from its first answer on', async () => {
    const port = await freePort();
    const client = new Client({ url: `http://127.0.0.1:${port}` });
    const [, ...others] = revoked;
    const first = pick(revoked, 0);
    const isUp = { value: false };
    const answer = async (): Promise<number> => {
      while (!isUp.value) {
        const status = await client.get('/check', first.token).then(
          (answered) => answered.status,
          () => undefined,
        );
        if (status !== undefined) return status;
      }
      return (await client.get('/check', first.token)).status;
    };
    const [status, late] = await Promise.all([
      answer(),
      Instance.start({ ...setting, port }).finally(() => (isUp.value = true)),
    ]);
    expect(status).toBe(401);
    expect(await inBatches(others, (batch) => client.acceptedOf(batch))).toEqual([]);
    const newcomer = await client.loginOne('newcomer');
    expect((await client.get('/check', newcomer.token)).status).toBe(200);
    client.close();
    await late.process.stop();
  });
});
