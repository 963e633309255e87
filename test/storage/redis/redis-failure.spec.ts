import { inspect } from 'node:util';

import { Circuit } from '../../../lib/storage/redis/circuit.js';
import { retryAfter } from '../../../lib/storage/redis/redis-clients.js';
import { failureOf } from '../../../lib/storage/redis/redis-failure.js';
import { RedisReply } from '../../../lib/storage/redis/redis-reply.js';
import { StoreHealth } from '../../../lib/storage/store-health.js';
import type { StorageStatus } from '../../../lib/storage/storage.js';
import { TestClock } from '../../support/test-clock.js';

function replyError(message: string): Error {
  const error = Object.assign(new Error(message), { command: { args: ['s3cret'] } });
  error.name = 'ReplyError';
  return error;
}

describe('failureOf', () => {
  it.each([
    ["OOM command not allowed when used memory > 'maxmemory'.", 'ERR_STORE_FULL', false],
    ['ERR Error running script: @user_script: 3: -OOM command', 'ERR_STORE_FULL', false],
    ['WRONGTYPE Operation against a key', 'ERR_STORE_CORRUPT', false],
    ["READONLY You can't write against a replica", 'ERR_STORE_UNAVAILABLE', true],
    ['LOADING Redis is loading', 'ERR_STORE_UNAVAILABLE', true],
    ['CLUSTERDOWN The cluster is down', 'ERR_STORE_UNAVAILABLE', true],
    ['BUSY Redis is busy running a script', 'ERR_STORE_UNAVAILABLE', true],
    ['MOVED 1 10.0.0.1:6379', 'ERR_STORE_UNAVAILABLE', true],
    ['NOAUTH Authentication required', 'ERR_STORE_UNAVAILABLE', true],
    ['EXECABORT Transaction discarded', 'ERR_STORE_UNAVAILABLE', true],
    ['10.0.0.1 says something new', 'ERR_STORE_UNAVAILABLE', true],
  ])('of %p is %s', (message, code, isOutage) => {
    const failure = failureOf(replyError(message), 'trying');
    expect(failure.error).toMatchObject({ name: 'StoreError', code });
    expect(failure.isOutage).toBe(isOutage);
    expect(inspect(failure, { depth: 9 })).not.toMatch(/s3cret|10\.0\.0\.1/);
  });

  it.each([new Error('connect ECONNREFUSED 10.0.0.1:6379'), 'OOM text', undefined, null, {}])(
    'of %p is a failed connection, without its address',
    (thrown) => {
      const failure = failureOf(thrown, 'trying');
      expect(failure).toMatchObject({ isOutage: true, detail: 'connection failed' });
      expect(inspect(failure, { depth: 9 })).not.toMatch(/10\.0\.0\.1/);
    },
  );
});

describe('RedisReply', () => {
  const reply = (value: unknown): RedisReply => new RedisReply(value, 'reading');

  it.each(['0', '12', 0, 12])('reads %p as a count', (value) => {
    expect(reply(value).count()).toBe(Number(value));
  });

  it.each(['', '-1', -1, '1.5', 1.5, '1e3', ' 1', '0x1', '99999999999999999', null, [], NaN])(
    'reads %p as no count',
    (value) => {
      expect(() => reply(value).count()).toThrow(/never stored by reading/);
    },
  );

  it.each([
    ['flag', (value: RedisReply) => value.flag(), [0, 1], [2, '1', true, null, [1]]],
    ['text', (value: RedisReply) => value.text(), ['', 'a'], [1, null, ['a'], Buffer.from('a')]],
    ['list', (value: RedisReply) => value.list(), [[], [1]], ['a', null, { length: 0 }]],
    ['pair', (value: RedisReply) => value.tuple(2), [[1, 2]], [[1], [1, 2, 3], 'ab']],
    ['word', (value: RedisReply) => value.word(['a']), ['a'], ['b', 'A', '', null, 1]],
  ])('tells a %s from everything else', (_name, read, good, bad) => {
    for (const value of good) expect(() => read(reply(value))).not.toThrow();
    for (const value of bad) {
      expect(() => read(reply(value))).toThrow(
        expect.objectContaining({ code: 'ERR_STORE_CORRUPT' }),
      );
    }
  });
});

describe('Circuit', () => {
  it('opens after five failures in a row, and only a probe closes it', () => {
    const circuit = new Circuit();
    for (let count = 0; count < 4; count++) circuit.fail('slow', 'probe');
    circuit.succeed();
    for (let count = 0; count < 4; count++) circuit.fail('slow', 'probe');
    expect(circuit.outage).toBeUndefined();
    circuit.fail('lost', 'probe');
    expect(circuit.outage).toBe('lost');
    circuit.succeed();
    expect(circuit.outage).toBe('lost');
    expect(circuit.probeKey).toBe('probe');
    circuit.close(7);
    expect(circuit.wroteAt).toBe(7);
    expect(circuit.outage).toBeUndefined();
    circuit.fail('slow', 'probe');
    expect(circuit.outage).toBeUndefined();
  });
});

describe('StoreHealth', () => {
  it('is down while any part is, tells each change once, and survives its listeners', () => {
    const clock = new TestClock();
    const health = new StoreHealth(clock);
    const told: StorageStatus[] = [];
    health.onChange(() => {
      throw new Error('a listener of others');
    });
    const end = health.onChange((status) => told.push(status));
    const [one, other] = [{}, {}];
    health.reportUp(one);
    health.reportDown(one, 'slow');
    health.reportDown(one, 'slow');
    health.reportDown(other, 'lost');
    health.reportUp(one);
    expect(told.map(({ state }) => state)).toEqual(['down']);
    health.reportUp(other);
    health.reportUp(other);
    expect(told.map(({ state }) => state)).toEqual(['down', 'up']);
    expect(told[0]).toEqual({ state: 'down', since: new Date(clock.now()), detail: 'slow' });
    end();
    health.reportDown(one, 'slow');
    expect(told).toHaveLength(2);
    expect(health.status.state).toBe('down');
  });
});

describe('retryAfter', () => {
  it('grows to two seconds and no further, and is not the same for all', () => {
    for (const attempt of [1, 2, 5, 10, 100, 10_000]) {
      const waits = Array.from({ length: 50 }, () => retryAfter(attempt));
      expect(Math.min(...waits)).toBeGreaterThanOrEqual(25);
      expect(Math.max(...waits)).toBeLessThanOrEqual(2_000);
      expect(new Set(waits).size).toBeGreaterThan(5);
    }
    expect(retryAfter(10)).toBeGreaterThanOrEqual(1_000);
  });
});
