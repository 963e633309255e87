import { Redis } from 'ioredis';

import { StoreError } from '../../../lib/kernel/errors.js';
import { Clock, SystemClock } from '../../../lib/kernel/clock.js';
import { openClient } from '../../../lib/storage/redis/redis-clients.js';
import { type Call, RedisGate } from '../../../lib/storage/redis/redis-gate.js';
import { RedisKeys } from '../../../lib/storage/redis/redis-keys.js';
import { StoreHealth } from '../../../lib/storage/store-health.js';
import {
  describeWithRedis,
  eventually,
  type RedisServer,
  startRedis,
} from '../../support/redis-server.js';

const LIMITS = { deadline: 100, connectTimeout: 5_000, maxPending: 10, replication: null };
const PING: Call = { task: 'asking', key: 'k', send: (client) => client.ping() };

/** A host whose wall clock is set back while time goes on. */
class SetBackClock extends Clock {
  #isSetBack = false;

  now(): number {
    return Date.now() - (this.#isSetBack ? 3_600_000 : 0);
  }

  override elapsed(): number {
    return performance.now();
  }

  setBack(): void {
    this.#isSetBack = true;
  }
}

describeWithRedis('RedisGate', () => {
  let server: RedisServer;
  let client: Redis;
  let health: StoreHealth;
  let gate: RedisGate;

  beforeEach(async () => {
    server = await startRedis();
    const opened = openClient({ url: server.url });
    if (!(opened instanceof Redis)) throw new TypeError('a url leads to one server');
    client = opened;
    const clock = new SystemClock();
    health = new StoreHealth(clock);
    gate = new RedisGate(client, LIMITS, new RedisKeys(''), health, clock);
  });

  afterEach(async () => {
    await gate.close();
    await server.stop();
  });

  it('connects with the first call, not before', async () => {
    expect(client.status).toBe('wait');
    expect((await gate.call(PING)).text()).toBe('PONG');
    expect(client.status).toBe('ready');
  });

  it('refuses more calls at once than it may have under way', async () => {
    await gate.call(PING);
    const calls = await Promise.allSettled(Array.from({ length: 25 }, () => gate.call(PING)));
    expect(calls.filter(({ status }) => status === 'fulfilled')).toHaveLength(10);
    const reasons = calls.flatMap((call) => (call.status === 'rejected' ? [call.reason] : []));
    expect(reasons).toHaveLength(15);
    for (const reason of reasons) expect(String(reason)).toMatch(/Too many calls/);
    expect(gate.pending).toBe(0);
    expect((await gate.call(PING)).text()).toBe('PONG');
  });

  it('gathers nothing while the server stands still, however often it is called', async () => {
    await gate.call(PING);
    server.pause();
    const pausedAt = Date.now();
    const slow: number[] = [];
    let calls = 0;
    let most = 0;
    while (Date.now() - pausedAt < 3_000) {
      const round = Array.from({ length: 20 }, async () => {
        const at = Date.now();
        await expect(gate.call(PING)).rejects.toBeInstanceOf(StoreError);
        slow.push(Date.now() - at);
      });
      calls += round.length;
      await Promise.all(round);
      most = Math.max(most, client.commandQueue.length + gate.pending);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(calls).toBeGreaterThan(200);
    // Nine in ten, because the machine may stall: nobody waits until the server goes on.
    expect(slow.toSorted((a, b) => a - b)[Math.floor(slow.length * 0.9)]).toBeLessThan(1_000);
    // The calls of the first rounds, and a probe now and then.
    expect(most).toBeLessThan(40);
    expect(health.status.state).toBe('down');
    server.resume();
    await eventually('it answers', () => health.status.state === 'up');
    expect((await gate.call(PING)).text()).toBe('PONG');
    expect(client.commandQueue.length).toBe(0);
  });

  it('answers a call whose reply came while this process was held up', async () => {
    await gate.call(PING);
    const call = gate.call(PING);
    await new Promise((resolve) => setImmediate(resolve));
    for (const until = Date.now() + 150; Date.now() < until;);
    expect((await call).text()).toBe('PONG');
  });

  it('waits for a connection that comes back within the deadline', async () => {
    await gate.call(PING);
    await server.command('CLIENT', 'KILL', 'TYPE', 'normal');
    await eventually('the connection is gone', () => client.status !== 'ready');
    expect((await gate.call(PING)).text()).toBe('PONG');
    expect(health.status.state).toBe('up');
  });

  it('takes no old proof for a new one, nor a dead server for a slow one, by a clock set back', async () => {
    const clock = new SetBackClock();
    const found = new StoreHealth(clock);
    const client = openClient({ url: server.url });
    const other = new RedisGate(client, LIMITS, new RedisKeys(''), found, clock);
    try {
      await other.call(PING);
      await eventually('it is proven', () => other.isProven('k'));
      clock.setBack();
      server.pause();
      await eventually('it is proven no more', () => !other.isProven('k'));
      await eventually('the outage is known', () => found.status.state === 'down');
      expect(other.isProven('k')).toBe(false);
      server.resume();
      await eventually('it is proven again', () => other.isProven('k'));
    } finally {
      await other.close();
    }
  });

  it('is slow once: neither the call nor the server is given up for it', async () => {
    await gate.call(PING);
    const call: Call = { ...PING, send: (client) => client.blpop('nothing', 0.2) };
    await expect(gate.call(call)).rejects.toThrow(/in time while asking/);
    expect(health.status.state).toBe('up');
    await eventually('it answers', () =>
      gate.call(PING).then(
        () => true,
        () => false,
      ),
    );
  });

  it('runs calls under way to their end when it is closed, and refuses others', async () => {
    await gate.call(PING);
    const call = gate.call(PING);
    const closing = gate.close();
    await expect(gate.call(PING)).rejects.toMatchObject({ code: 'ERR_STORE_CLOSED' });
    expect((await call).text()).toBe('PONG');
    await closing;
    await eventually('the connection is closed', () => client.status === 'end');
  });
});
