import { AttemptStore, type Attempts } from '../../abuse/attempt-store.js';
import { luaScript } from './lua-script.js';
import type { RedisGate } from './redis-gate.js';
import { expectKey, expectWhole, LONGEST, type RedisKeys } from './redis-keys.js';
import type { RedisReply } from './redis-reply.js';

/** Answers the count, the milliseconds since the attempt before (-1 for none) and until the end. */
const RECORD = luaScript(`
local now = store_time()
local window = tonumber(ARGV[1])
local known = redis.call('HMGET', KEYS[1], 'count', 'last', 'until')
local count, since, ends = 1, false, now + window
if known[1] and tonumber(known[3]) > now then
  count = tonumber(known[1]) + 1
  since = digits(math.max(0, now - tonumber(known[2])))
  if ARGV[2] == 'first' then ends = tonumber(known[3]) end
end
redis.call('HSET', KEYS[1], 'count', digits(count), 'last', digits(now), 'until', digits(ends))
redis.call('PEXPIREAT', KEYS[1], digits(ends))
return {digits(count), since, digits(ends - now)}
`);

const READ = luaScript(`
local now = store_time()
local known = redis.call('HMGET', KEYS[1], 'count', 'last', 'until')
if not known[1] or tonumber(known[3]) <= now then return {'0', false, '0'} end
return {known[1], digits(math.max(0, now - tonumber(known[2]))), digits(tonumber(known[3]) - now)}
`);

/** One hash per key, which expires with its window. */
export class RedisAttemptStore extends AttemptStore {
  constructor(
    private readonly gate: RedisGate,
    private readonly keys: RedisKeys,
  ) {
    super();
  }

  async record({
    key,
    window,
    runsFrom,
  }: {
    readonly key: string;
    readonly window: number;
    readonly runsFrom: 'first' | 'last';
  }): Promise<Attempts> {
    expectKey(key);
    expectWhole(window, 'A window', 1, LONGEST);
    return attemptsFrom(
      await this.gate.run({
        task: 'counting an attempt',
        script: RECORD,
        keys: [this.keys.attempts(key)],
        args: [String(window), runsFrom],
      }),
    );
  }

  async read(key: string): Promise<Attempts> {
    expectKey(key);
    return attemptsFrom(
      await this.gate.run({
        task: 'reading attempts',
        script: READ,
        keys: [this.keys.attempts(key)],
        args: [],
      }),
    );
  }

  async clear(key: string): Promise<void> {
    expectKey(key);
    const name = this.keys.attempts(key);
    const reply = await this.gate.call({
      task: 'forgetting attempts',
      key: name,
      send: (client) => client.del(name),
    });
    reply.count();
  }
}

function attemptsFrom(reply: RedisReply): Attempts {
  const [count, sincePrevious, expiresIn] = reply.tuple(3);
  return {
    count: count.count(),
    sincePrevious: sincePrevious.countOrNull(),
    expiresIn: expiresIn.count(),
  };
}
