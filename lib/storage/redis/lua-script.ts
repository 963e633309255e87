import { createHash } from 'node:crypto';

/** One atomic step inside Redis. */
export interface LuaScript {
  readonly text: string;
  /** What `EVALSHA` calls it; a name, not a protection. */
  readonly sha: string;
}

/**
 * Time comes from the store, so that instances whose clocks differ agree; numbers leave as digits,
 * because Lua would write large ones with an exponent.
 */
const PRELUDE = `
local function digits(number) return string.format('%.0f', number) end
local function store_time()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
`;

export function luaScript(body: string): LuaScript {
  const text = `${PRELUDE}${body}`;
  return { text, sha: createHash('sha1').update(text).digest('hex') };
}
