import { KeyStore, type LoadedKeyRing } from '../../keys/key-store.js';
import { luaScript } from './lua-script.js';
import { isNothingDone, type RedisGate } from './redis-gate.js';
import { expectText, type RedisKeys } from './redis-keys.js';
import type { RingWatch } from './ring-watch.js';

/** Far above any real ring, far below what would hold up a server. */
const MAX_RING_BYTES = 256 * 1024;

const LOAD = luaScript(`
local stored = redis.call('HMGET', KEYS[1], 'version', 'ring')
return {digits(store_time()), stored[1], stored[2]}
`);

/**
 * A version is the time of its replacement, or one more than the last: a store that lost everything
 * goes on with numbers it never gave.
 */
const REPLACE = luaScript(`
local version = redis.call('HGET', KEYS[1], 'version')
if (version or '') ~= ARGV[1] then return 0 end
local following = store_time()
if version and tonumber(version) >= following then following = tonumber(version) + 1 end
redis.call('HSET', KEYS[1], 'version', digits(following), 'ring', ARGV[2])
-- Who may not publish has replaced the ring all the same; versions are compared besides.
redis.pcall('PUBLISH', ARGV[3], '')
return 1
`);

/** The key ring as one hash of version and text. */
export class RedisKeyStore extends KeyStore {
  readonly #gate: RedisGate;
  readonly #durable: RedisGate;
  readonly #keys: RedisKeys;
  readonly #watch: RingWatch;

  /** @param durable answers once a change holds as firmly as was configured */
  constructor(gate: RedisGate, durable: RedisGate, keys: RedisKeys, watch: RingWatch) {
    super();
    this.#gate = gate;
    this.#durable = durable;
    this.#keys = keys;
    this.#watch = watch;
  }

  async load(): Promise<LoadedKeyRing> {
    const keys = [this.#keys.keyRing()] as const;
    const reply = await this.#gate.run({
      task: 'loading the key ring',
      script: LOAD,
      keys,
      args: [],
    });
    const [time, version, ring] = reply.tuple(3);
    const storeTime = time.count();
    const number = version.countOrNull();
    const text = ring.textOrNull();
    if (number === null && text === null) return { stored: null, storeTime };
    return { stored: { version: version.count(), ring: ring.text() }, storeTime };
  }

  async replace({
    expectedVersion,
    ring,
  }: {
    readonly expectedVersion: number | null;
    readonly ring: string;
  }): Promise<boolean> {
    expectText(ring, 'A key ring', MAX_RING_BYTES);
    const reply = await this.#durable.run({
      task: 'replacing the key ring',
      script: REPLACE,
      keys: [this.#keys.keyRing()],
      args: [
        expectedVersion === null ? '' : String(expectedVersion),
        ring,
        this.#keys.keyRingChanges(),
      ],
      isRefusal: isNothingDone,
    });
    return reply.flag();
  }

  onChange(listener: () => void): () => void {
    return this.#watch.add(listener);
  }
}
