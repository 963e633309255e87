import {
  describeWithRedis,
  eventually,
  type RedisServer,
  startRedis,
} from '../support/redis-server.js';
import { DpopClient } from './dpop-clients.js';
import { Instance, type InstanceOptions } from './instances.js';
import { pick } from './revocation-figures.js';
import { sessionSetting } from './session-instances.js';

/** The brief's thousand take a minute or two: `DPOP_ROUNDS=1000`. */
const ROUNDS = Number(process.env['DPOP_ROUNDS'] ?? 25);

const INSTANCES = 3;
const KEYS = 50;
const REQUESTS_AT_ONCE = 200;

/** Where clients believe to be: none of the instances listens there. */
const ORIGIN = 'https://api.example';

describeWithRedis('DPoP proofs, on three processes', () => {
  let redis: RedisServer;
  let instances: readonly Instance[];
  let clients: readonly DpopClient[];

  let setting: InstanceOptions;

  beforeAll(async () => {
    redis = await startRedis();
    const { options, ...rest } = sessionSetting(redis, {});
    setting = { ...rest, options: { ...options, binding: { dpop: { publicUrls: [ORIGIN] } } } };
    instances = await Promise.all(Array.from({ length: INSTANCES }, () => Instance.start(setting)));
    clients = await Promise.all(
      Array.from({ length: KEYS }, (_, place) => DpopClient.logIn(pick(instances, place), ORIGIN)),
    );
    // The first proof of each is answered with the nonce; every instance knows it.
    for (const client of clients) await client.learnNonce(pick(instances, 0));
  });

  afterAll(async () => {
    for (const client of clients) client.close();
    await Promise.all(instances.map(({ process }) => process.stop()));
    await redis.stop();
  });

  it(`one proof twice at once, ${ROUNDS} rounds: one 200, one 401 (S046)`, async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const client = pick(clients, round);
      const proof = client.prove('GET', '/check');
      const there = [pick(instances, round), pick(instances, round + 1)];
      const answers = await Promise.all(there.map((instance) => client.show(instance, proof)));
      const statuses = answers.map(({ status }) => status);
      expect(statuses.toSorted((a, b) => a - b)).toEqual([200, 401]);
      // And not again on any of them, whoever of them has seen it.
      const after = await Promise.all(instances.map((instance) => client.show(instance, proof)));
      expect(after.map(({ status }) => status)).toEqual(instances.map(() => 401));
    }
    process.stdout.write(`${ROUNDS} x one DPoP proof twice at once, 3 processes: one 200 each\n`);
  });

  it(`${REQUESTS_AT_ONCE} requests of ${KEYS} keys at once: all 200 (S068)`, async () => {
    const answers = await Promise.all(
      Array.from({ length: REQUESTS_AT_ONCE }, (_, place) => {
        const client = pick(clients, place);
        return client.show(pick(instances, place), client.prove('GET', '/check'));
      }),
    );
    expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
  });

  it('an instance that starts anew knows what the others have seen', async () => {
    const client = pick(clients, 0);
    const proof = client.prove('GET', '/check');
    expect(await client.show(pick(instances, 0), proof)).toMatchObject({ status: 200 });
    const anew = await Instance.start(setting);
    expect(await client.show(anew, proof)).toMatchObject({ status: 401 });
    const fresh = client.prove('GET', '/check');
    expect(await client.show(anew, fresh)).toMatchObject({ status: 200 });
    await anew.process.stop();
  });

  it('a key is good for its own token only, and a token for its own scheme', async () => {
    const [one, two] = [pick(clients, 0), pick(clients, 1)];
    const foreign = two.prove('GET', '/check', one.accessToken);
    for (const instance of instances) {
      expect(await one.show(instance, foreign)).toMatchObject({ status: 401 });
      expect(await instance.check(one.accessToken)).toBe(401);
    }
  });

  it('says of every replay that it was one, and of nothing else', async () => {
    const client = await DpopClient.logIn(pick(instances, 0), ORIGIN);
    await client.learnNonce(pick(instances, 0));
    const replays = (): number =>
      instances
        .flatMap((instance) => instance.events())
        .filter((event) => event.type === 'proof.replayed')
        .filter((event) => Object.values(event).includes(client.jkt)).length;
    const proof = client.prove('GET', '/check');
    await Promise.all(instances.map((instance) => client.show(instance, proof)));
    await eventually('both are told', () => replays() === INSTANCES - 1);
    const fresh = client.prove('GET', '/check');
    expect(await client.show(pick(instances, 1), fresh)).toMatchObject({ status: 200 });
    expect(replays()).toBe(INSTANCES - 1);
    client.close();
  });

  it('nothing is accepted that cannot be remembered: 503', async () => {
    const client = pick(clients, 3);
    await redis.kill();
    for (const instance of instances) {
      const proof = client.prove('GET', '/check');
      expect(await client.show(instance, proof)).toMatchObject({ status: 503 });
    }
  });
});
