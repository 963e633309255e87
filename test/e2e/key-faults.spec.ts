import { randomBytes } from 'node:crypto';

import { forgeAccess, validClaims } from '../support/token-mother.js';
import { generateSigningKey } from '../../lib/keys/key-material.js';
import {
  describeWithRedis,
  eventually,
  type RedisServer,
  startRedis,
} from '../support/redis-server.js';
import { TestClock } from '../support/test-clock.js';
import { recordSecret } from '../support/witness.js';
import { Instance, type InstanceOptions } from './instances.js';

interface Ring {
  readonly keys: readonly { readonly kid: string; readonly phase: string }[];
  readonly health: { readonly status: string; readonly code: string | null };
  readonly storage: { readonly state: string };
}

function newKey(): string {
  const key = randomBytes(32).toString('base64url');
  recordSecret(key);
  return key;
}

function typesOf(instance: Instance): readonly string[] {
  return instance.events().map(({ type }) => type);
}

/** What it says arrives some time after the answers that it gives. */
function expectSaid(instance: Instance, ...types: readonly string[]): Promise<void> {
  return eventually(`it says ${types.join(' and ')}`, () => {
    const said = typesOf(instance);
    return types.every((type) => said.includes(type));
  });
}

/** The states it said to be in, of which no two that follow each other may be the same. */
const STATES = [/^store\.(?:down|up)$/, /^key\.(?:unavailable|unreadable|available)$/];

function repeatedStates(instance: Instance): readonly string[] {
  return STATES.flatMap((states) => {
    const said = typesOf(instance).filter((type) => states.test(type));
    return said.filter((type, place) => place > 0 && type === said[place - 1]);
  });
}

/** Asks all the time, as clients do, and keeps every answer. */
class Clients {
  readonly statuses: number[] = [];
  readonly forged: number[] = [];
  #isAsking = true;
  readonly #done: Promise<unknown>;

  constructor(instances: readonly Instance[], token: string, forged: string) {
    this.#done = Promise.all(
      instances.map(async (instance) => {
        while (this.#isAsking) {
          this.statuses.push(await instance.check(token));
          this.forged.push(await instance.check(forged));
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
      }),
    );
  }

  async stop(): Promise<void> {
    this.#isAsking = false;
    await this.#done;
  }
}

describeWithRedis('an application whose Redis fails', () => {
  let redis: RedisServer;
  let instances: readonly Instance[];
  let token: string;
  let kid: string;
  let clients: Clients;
  const setting = (): InstanceOptions => ({
    redisUrl: redis.url,
    keyPrefix: 'faults:',
    options: { keys: { encryptionKeys }, outage: { maxLag } },
  });
  const encryptionKeys = newKey();
  let maxLag: '5s' | '1m';
  const ringOf = (instance: Instance): Promise<Ring> => instance.get<Ring>('/ring');
  const allAnswer = async (status: number): Promise<boolean> =>
    (await Promise.all(instances.map((one) => one.check(token)))).every((one) => one === status);

  beforeAll(() => {
    maxLag = '5s';
  });

  beforeEach(async () => {
    redis = await startRedis();
    instances = await Promise.all([Instance.start(setting()), Instance.start(setting())]);
    const [first] = instances;
    if (first === undefined) throw new Error('nothing started');
    ({ token, kid } = await first.issue());
    recordSecret(token);
    const stranger = await generateSigningKey('ES256');
    // Right in every respect but for who signed it: the clock only has to be near.
    const clock = new TestClock(Date.now());
    const claims = { ...validClaims(clock), iss: 'https://issuer.example', aud: 'api' };
    const forged = await forgeAccess(stranger, claims, { kid });
    await eventually('both know the key', () => allAnswer(200));
    clients = new Clients(instances, token, forged);
  });

  afterEach(async () => {
    await clients.stop();
    await Promise.all(instances.map(({ process }) => process.stop()));
    await redis.stop();
  });

  /** A good token is never called bad, a bad one never good, and the log says each thing once. */
  async function expectSteadfast(answers: readonly number[]): Promise<void> {
    await clients.stop();
    expect(new Set(clients.statuses)).toEqual(new Set(answers));
    expect(clients.forged.filter((status) => status !== 401 && status !== 503)).toEqual([]);
    expect(instances.flatMap(typesOf)).not.toContain('unhandledRejection');
    expect(instances.flatMap(repeatedStates)).toEqual([]);
  }

  it('killed and restarted empty: goes on, then says 503, and puts the ring back', async () => {
    await redis.kill();
    await eventually('the lag passes its bound', () => allAnswer(503));
    for (const instance of instances) {
      // The revocation log can be the first to be stale.
      const isStale = async (): Promise<boolean> =>
        (await ringOf(instance)).health.status === 'stale';
      await eventually('the ring is stale', isStale);
      expect(await ringOf(instance)).toMatchObject({
        health: { status: 'stale', code: 'ERR_KEY_RING_UNAVAILABLE' },
        storage: { state: 'down' },
      });
      await expectSaid(instance, 'store.down', 'key.stale');
      // A key in it may have been withdrawn since.
      const jwks = await fetch(`${instance.url}/.well-known/jwks.json`);
      expect([jwks.status, jwks.headers.get('retry-after')]).toEqual([503, '5']);
    }
    await redis.restart();
    await eventually('both are back', () => allAnswer(200));
    for (const instance of instances) {
      await eventually('the ring is fresh', async () => {
        const { health, storage } = await ringOf(instance);
        return health.status === 'ok' && storage.state === 'up';
      });
      const { keys } = await ringOf(instance);
      expect(keys.map((key) => `${key.phase} ${key.kid}`)).toEqual([`signing ${kid}`]);
      await expectSaid(instance, 'store.up', 'key.available');
    }
    const restored = (): number =>
      instances.flatMap(typesOf).filter((type) => type === 'key.restored').length;
    await eventually('it was said', () => restored() > 0);
    await expectSteadfast([200, 503]);
    expect(restored()).toBe(1);
  });

  it('paused for ten seconds: says 503 after five, and is back at once', async () => {
    redis.pause();
    const paused = Date.now();
    await eventually('the lag passes its bound', () => allAnswer(503));
    await eventually('ten seconds have passed', () => Date.now() - paused > 10_000);
    redis.resume();
    await eventually('both are back', () => allAnswer(200));
    for (const instance of instances) {
      expect(await ringOf(instance)).toMatchObject({ keys: [{ kid, phase: 'signing' }] });
    }
    await expectSteadfast([200, 503]);
  });

  it('holding a ring that cannot be opened: makes nothing, says so, and lets nobody start', async () => {
    await redis.command('HSET', 'faults:{keyring}', 'ring', 'e30.x.x.x.x');
    await redis.command('HINCRBY', 'faults:{keyring}', 'version', '1');
    await eventually('the lag passes its bound', () => allAnswer(503));
    for (const instance of instances) {
      await expectSaid(instance, 'key.unreadable');
      await eventually('it knows why', async () => {
        const { health } = await ringOf(instance);
        return health.code === 'ERR_KEY_RING_UNREADABLE';
      });
    }
    await expect(Instance.start(setting())).rejects.toThrow(
      /ERR_KEY_RING_UNREADABLE|cannot be read/,
    );
    expect(await redis.command('HGET', 'faults:{keyring}', 'ring')).toBe('e30.x.x.x.x');
    await expectSteadfast([200, 503]);
  });

  describe('and answers all the same', () => {
    // Nobody may be refused here; a machine that stalls lets the default pass by itself.
    beforeAll(() => {
      maxLag = '1m';
    });

    it('wiped while running: nobody notices but the log', async () => {
      await redis.command('FLUSHALL');
      await eventually(
        'the ring is back',
        async () => (await redis.command('EXISTS', 'faults:{keyring}')) === 1,
      );
      await eventually('it was said', () => instances.flatMap(typesOf).includes('key.restored'));
      expect(await Promise.all(instances.map((one) => one.check(token)))).toEqual([200, 200]);
      const late = await Instance.start(setting());
      expect(await ringOf(late)).toMatchObject({ keys: [{ kid, phase: 'signing' }] });
      await late.process.stop();
      await expectSteadfast([200]);
    });

    it('full: keys cannot be compromised in silence, and can be once there is room', async () => {
      const [first] = instances;
      if (first === undefined) throw new Error('nothing started');
      await redis.command('CONFIG', 'SET', 'maxmemory', '1');
      const refused = await first.post<{ readonly statusCode?: number }>('/compromise');
      expect(refused.statusCode).toBeGreaterThanOrEqual(500);
      expect(await allAnswer(200)).toBe(true);
      await redis.command('CONFIG', 'SET', 'maxmemory', '0');
      await expectSteadfast([200]);
      await eventually('it is compromised', async () => {
        const answer = await first.post<{ readonly kid?: string }>('/compromise');
        return answer.kid === kid;
      });
      await eventually('everyone refuses it', () => allAnswer(401));
    });
  });
});
