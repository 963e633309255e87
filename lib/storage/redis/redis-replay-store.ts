import { ReplayStore } from '../../binding/replay-store.js';
import { luaScript } from './lua-script.js';
import { isNothingDone, type RedisGate } from './redis-gate.js';
import { expectKey, expectWhole, type RedisKeys } from './redis-keys.js';

const CLAIM = luaScript(`
if tonumber(ARGV[1]) <= store_time() then return 0 end
if redis.call('SET', KEYS[1], '1', 'NX', 'PXAT', ARGV[1]) then return 1 end
return 0
`);

/**
 * One key per claim, which expires with it. A claim repeated after a failure is refused if the first
 * went through: nothing is ever granted twice.
 */
export class RedisReplayStore extends ReplayStore {
  /** @param durable answers once a claim holds as firmly as was configured */
  constructor(
    private readonly durable: RedisGate,
    private readonly keys: RedisKeys,
  ) {
    super();
  }

  async claimOnce({
    key,
    expiresAt,
  }: {
    readonly key: string;
    readonly expiresAt: number;
  }): Promise<boolean> {
    expectKey(key);
    expectWhole(expiresAt, 'The expiry of a claim', Number.MIN_SAFE_INTEGER);
    const reply = await this.durable.run({
      task: 'claiming a key',
      script: CLAIM,
      keys: [this.keys.claim(key)],
      args: [String(expiresAt)],
      isRefusal: isNothingDone,
    });
    return reply.flag();
  }
}
