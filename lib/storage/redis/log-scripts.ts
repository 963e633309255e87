import { luaScript } from './lua-script.js';

/**
 * The atomic steps on the revocation log: a stream, and beside it the state of the log. The second
 * part of every entry's id is its number in the log. A replica that took over without the last
 * entries gives their numbers again, which is how a reader finds out.
 *
 * An entry is one field, because a page of many is read faster so: when it expires, when all that
 * was in the log up to it has expired, and the text. Both keys expire with the last entry. If only one is there, what was in the log is lost.
 */

/** Every append looks at so many entries for expired ones, round and round. */
const SWEPT_PER_APPEND = 4;

/** Until when an entry may concern a token, from now on, in milliseconds. */
const MAX_AHEAD = 400 * 24 * 60 * 60 * 1_000;

/**
 * Entries are kept for so long after they expired, in milliseconds. They expire by the clock of who
 * judges tokens, and the store's may be ahead of it.
 */
const MARGIN = 5 * 60 * 1_000;

/** Longer than a script runs: a key that expires while it is written would be gone at once. */
const MIN_AHEAD = 1_000;

/** Keys: entries, state. Answers the log's id, the entry's id, and when the log ends; or `far`. */
export const APPEND = luaScript(`
local data, expires, fresh_id = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local now = store_time()
if expires > now + ${MAX_AHEAD} then return {'far'} end
local state = redis.call('HMGET', KEYS[2], 'id', 'time', 'number', 'until', 'swept')
local id, time, number, ends, swept = fresh_id, 0, 0, 0, ''
if state[1] and redis.call('EXISTS', KEYS[1]) == 1 then
  id, swept = state[1], state[5]
  time, number, ends = tonumber(state[2]), tonumber(state[3]), tonumber(state[4])
else
  redis.call('DEL', KEYS[1], KEYS[2])
end

local from = swept == '' and '-' or '(' .. swept
local page = redis.call('XRANGE', KEYS[1], from, '+', 'COUNT', ${SWEPT_PER_APPEND})
swept = ''
for _, entry in ipairs(page) do
  if tonumber(string.match(entry[2][2], '^%d+')) + ${MARGIN} <= now then redis.call('XDEL', KEYS[1], entry[1]) end
  if #page == ${SWEPT_PER_APPEND} then swept = entry[1] end
end

time, number = math.max(time, now), number + 1
ends = math.max(ends, expires + ${MARGIN}, now + ${MIN_AHEAD})
local entry = digits(time) .. '-' .. digits(number)
redis.call('XADD', KEYS[1], entry, 'e', digits(expires) .. ':' .. digits(ends) .. ':' .. data)
redis.call('HSET', KEYS[2], 'id', id, 'time', digits(time), 'number', digits(number),
  'until', digits(ends), 'swept', swept)
redis.call('PEXPIREAT', KEYS[1], digits(ends))
redis.call('PEXPIREAT', KEYS[2], digits(ends))
return {id, entry, digits(ends)}
`);

/**
 * Keys: entries, state. Judges a position, of which it is told which log, which entry, when that
 * entry expires, and when all the log held will have expired; and reads on from it. Answers `lost`;
 * `empty`; `anew`, when all that this reader knew of has expired, so that nothing of it can be lost;
 * or `read` with the log's id, the number of its last entry and a page: a JSON list of texts, each
 * an entry's id and its field, with a colon between.
 *
 * One text for the page: as a reply of its own an entry is seven values, and taking those apart
 * costs a reader more than this costs Redis.
 */
export const READ = luaScript(`
local log, after, expires, ends, size = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local now = store_time()
local state = redis.call('HMGET', KEYS[2], 'id', 'number', 'time')
local id = state[1]
if (redis.call('EXISTS', KEYS[1]) == 1) ~= (id ~= false) then return {'lost'} end
if log ~= '' and id ~= log then
  return {tonumber(ends) > now and 'lost' or 'anew'}
elseif log ~= '' then
  local time, number = string.match(after, '^(%d+)-(%d+)$')
  if tonumber(state[2]) < tonumber(number) or tonumber(state[3]) < tonumber(time) then
    return {'lost'}
  end
  local there = redis.call('XRANGE', KEYS[1], after, after)[1]
  if there then
    local start = expires .. ':' .. ends .. ':'
    if string.sub(there[2][2], 1, #start) ~= start then return {'lost'} end
  elseif tonumber(expires) + ${MARGIN} > now then
    return {'lost'}
  end
end
if not id then return {'empty'} end

local page = redis.call('XRANGE', KEYS[1], log == '' and '-' or '(' .. after, '+', 'COUNT', size)
for at = 1, #page do
  local fields = page[at][2]
  if fields[1] ~= 'e' or fields[3] then return {'strange'} end
  page[at] = page[at][1] .. ':' .. fields[2]
end
-- An empty list would be written as an empty object.
return {'read', id, state[2], page[1] and cjson.encode(page) or '[]'}
`);
