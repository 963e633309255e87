import { ASKED_WITHIN } from '../../sessions/session-store.js';
import { luaScript } from './lua-script.js';

/**
 * The atomic steps on sessions. A session is a hash; a sorted set of its owner names them in the
 * order of their beginning; what misuse ended is remembered under a name of its own, so that only
 * live sessions bear the name of one. All keys of an owner lie in one slot.
 *
 * `secret` is the digest of the current token, `former` that of its predecessor with the `sealed`
 * answer the predecessor may get again during the `grace` of its rotation, `older` holds shortened digests of those before.
 */

/** A token further back than this many rotations is reported as never issued. */
const OLDER_KEPT = 32;
/** Hexadecimal digits of each: enough to tell generations apart, worth nothing to who reads them. */
const OLDER_DIGITS = 12;

/** How long the memory of a misused session lasts at most, in milliseconds. */
const ENDED_FOR = 24 * 60 * 60 * 1_000;

/** What a record is made of, in this order. */
const RECORD_FIELDS = ['data', 'created', 'used', 'absolute', 'idle', 'generation'] as const;

const RECORD = `
local FIELDS = {${RECORD_FIELDS.map((field) => `'${field}'`).join(', ')}}
local function record_of(key) return redis.call('HMGET', key, unpack(FIELDS)) end
`;

/** Keys: session, index, ended. Answers the ids that ended to make room. */
export const CREATE = luaScript(`
local id, lineage, secret, binding, data = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local idle, absolute, at_most = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
if redis.call('EXISTS', KEYS[1], KEYS[3]) > 0 then return {'exists'} end
-- Names of expired sessions leave a few at a time, faster than new ones come; all of them before a
-- session is ended for room. All is read before a write: a Cluster that moves the slot lets that fail.
local prefix = string.sub(KEYS[1], 1, -1 - #id)
local is_full = redis.call('ZCARD', KEYS[2]) >= at_most
local names = is_full and redis.call('ZRANGE', KEYS[2], 0, -1)
  or redis.call('ZRANDMEMBER', KEYS[2], 8)
local live, expired, ending = {}, {}, {}
for _, other in ipairs(names) do
  table.insert(redis.call('EXISTS', prefix .. other) == 1 and live or expired, other)
end
if is_full then
  for at = 1, #live + 1 - at_most do ending[at] = live[at] end
end
for _, other in ipairs(expired) do redis.call('ZREM', KEYS[2], other) end
for _, other in ipairs(ending) do
  redis.call('DEL', prefix .. other)
  redis.call('ZREM', KEYS[2], other)
end
local now = store_time()
local ends = digits(now + absolute)
redis.call('HSET', KEYS[1], 'lineage', lineage, 'secret', secret, 'binding', binding,
  'data', data, 'created', digits(now), 'used', digits(now), 'absolute', ends,
  'idle', digits(idle), 'generation', '0')
redis.call('PEXPIREAT', KEYS[1], digits(now + math.min(idle, absolute)))
local newest = redis.call('ZREVRANGE', KEYS[2], 0, 0, 'WITHSCORES')[2]
local place = math.max(now, newest and tonumber(newest) + 1 or 0)
redis.call('ZADD', KEYS[2], digits(place), id)
if redis.call('PTTL', KEYS[2]) < absolute then redis.call('PEXPIREAT', KEYS[2], ends) end
return {'stored', ending}
`);

/** Keys: session, index, ended. */
export const ROTATE = luaScript(`${RECORD}
local id, lineage, secret, binding = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local next_secret, sealed, data, grace = ARGV[5], ARGV[6], ARGV[7], tonumber(ARGV[8])
local now = store_time()
local asked = tonumber(ARGV[9]) or now
if asked > now or now - asked > ${ASKED_WITHIN} then return {'late'} end

local ended = redis.call('HMGET', KEYS[3], 'lineage', 'misuse')
if ended[1] then
  if ended[1] ~= lineage then return {'unknown'} end
  return {'ended', record_of(KEYS[3]), ended[2]}
end

local known = redis.call('HMGET', KEYS[1], 'lineage', 'secret', 'binding', 'former', 'sealed',
  'rotated', 'older', 'used', 'absolute', 'idle', 'generation', 'grace')
if known[1] ~= lineage then return {'unknown'} end
local absolute, idle = tonumber(known[9]), tonumber(known[10])
if absolute <= now or tonumber(known[8]) + idle <= now then return {'unknown'} end

local function brief(digest) return string.sub(redis.sha1hex(digest), 1, ${OLDER_DIGITS}) end
local function age_of(digest)
  local older, sought = known[7] or '', brief(digest)
  for at = 1, #older, ${OLDER_DIGITS} do
    if string.sub(older, at, at + ${OLDER_DIGITS - 1}) == sought then
      return at == 1 and 'recent' or 'older'
    end
  end
  return 'unknown'
end

local misuse
if secret == known[2] then
  if binding == known[3] then
    local older = known[7] or ''
    if known[4] then older = string.sub(brief(known[4]) .. older, 1, ${OLDER_KEPT * OLDER_DIGITS}) end
    redis.call('HSET', KEYS[1], 'secret', next_secret, 'former', secret, 'sealed', sealed,
      'rotated', digits(now), 'grace', digits(grace), 'older', older, 'used', digits(now),
      'generation', digits(tonumber(known[11]) + 1))
    if data ~= '' then redis.call('HSET', KEYS[1], 'data', string.sub(data, 2)) end
    redis.call('PEXPIREAT', KEYS[1], digits(math.min(now + idle, absolute)))
    return {'rotated', record_of(KEYS[1])}
  end
  misuse = 'binding'
elseif known[4] and secret == known[4] then
  -- A clock that was set back by a failover must not open the window again. Who asked before the
  -- rotation showed the current token: two that raced.
  local rotated = tonumber(known[6])
  local since = math.max(0, asked - rotated)
  local inside = rotated <= now and since < math.min(grace, tonumber(known[12]))
  if inside and binding == known[3] then
    return {'repeated', record_of(KEYS[1]), known[5]}
  end
  misuse = inside and 'binding' or 'recent'
else
  misuse = age_of(secret)
end

local record = record_of(KEYS[1])
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], id)
redis.call('HSET', KEYS[3], 'lineage', lineage, 'data', record[1], 'created', record[2],
  'used', record[3], 'absolute', record[4], 'idle', record[5], 'generation', record[6],
  'misuse', misuse)
redis.call('PEXPIREAT', KEYS[3], digits(math.min(absolute, now + ${ENDED_FOR})))
return {'reused', record, misuse}
`);

/** Keys: session. Answers its record, which of its tokens is shown, and when; or nothing. */
export const FIND = luaScript(`${RECORD}
local lineage, secret = ARGV[1], ARGV[2]
local known = redis.call('HMGET', KEYS[1], 'lineage', 'secret', 'former', 'rotated', 'grace')
if known[1] ~= lineage then return {} end
local now = store_time()
local shown = 'other'
if secret == known[2] then
  shown = 'current'
elseif known[3] and secret == known[3] then
  local since = now - tonumber(known[4])
  if since >= 0 and since < tonumber(known[5]) then shown = 'former' end
end
return {record_of(KEYS[1]), shown, digits(now)}
`);

/** Keys: session, index. The lineage is asked for only where one is given. */
export const END = luaScript(`
local id, lineage = ARGV[1], ARGV[2]
if lineage ~= '' and redis.call('HGET', KEYS[1], 'lineage') ~= string.sub(lineage, 2) then
  return 0
end
redis.call('ZREM', KEYS[2], id)
return redis.call('DEL', KEYS[1])
`);

/** Keys: index. Answers the ids that were live. */
export const END_ALL = luaScript(`
local prefix, except = ARGV[1], ARGV[2]
local ids = redis.call('ZRANGE', KEYS[1], 0, -1)
-- While a Cluster moves the slot some keys may be on another node: that must fail before a write.
for _, id in ipairs(ids) do redis.call('EXISTS', prefix .. id) end
local ended = {}
for _, id in ipairs(ids) do
  if id ~= except then
    if redis.call('DEL', prefix .. id) == 1 then table.insert(ended, id) end
    redis.call('ZREM', KEYS[1], id)
  end
end
return ended
`);

/** Keys: index. Answers the id of the newest live session, or an empty text. */
export const NEWEST = luaScript(`
local at, step = 0, 16
repeat
  local ids = redis.call('ZREVRANGE', KEYS[1], at, at + step - 1)
  for _, id in ipairs(ids) do
    if redis.call('EXISTS', ARGV[1] .. id) == 1 then return id end
  end
  at = at + step
until #ids < step
return ''
`);

/** Keys: index. Answers pairs of id and record. */
export const LIST = luaScript(`${RECORD}
local live = {}
for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  local record = record_of(ARGV[1] .. id)
  if record[1] then table.insert(live, {id, record}) else redis.call('ZREM', KEYS[1], id) end
end
return live
`);
