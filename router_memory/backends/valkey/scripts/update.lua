-- Sets fields of a memory that exists; what is not named stays.
--
-- KEYS: meta, order, the memory.
-- ARGV: epoch, digest of the user, base, project (must be the memory's; empty for any), id, updated (microseconds),
--   type and importance (empty: stay); with a new text also: what follows from it, the tags of its stems, its vectors,
--   and what these are.
-- Returns the fields memory and state, or nil when there is no such memory, or -1 when the user's vectors are others.

local meta, order, key = KEYS[1], KEYS[2], KEYS[3]
local epoch, user, base, wanted, id = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local row = redis.call('HMGET', key, 'type', 'project', 'memory', 'state')
local old_type, project = row[1], row[2] or ''
if not old_type or (wanted ~= '' and wanted ~= project) then return false end
if #ARGV > 8 and redis.call('HGET', meta, 'layout') ~= ARGV[12] then return -1 end
local _, importance, updated, accesses = string.match(row[4], '^(%S+) (%S+) (%S+) (.+)$')
local type = ARGV[7] ~= '' and ARGV[7] or old_type
if ARGV[8] ~= '' then importance = ARGV[8] end
if tonumber(ARGV[6]) > tonumber(updated) then updated = ARGV[6] end
local stays, old_text = halves(row[3])
local old = cjson.decode(old_text)
local text = #ARGV > 8 and cjson.decode(ARGV[9])
local delta = {}

redis.call('HSET', key, 'type', type, 'state', table.concat({type, importance, updated, accesses}, ' '))
if text then
  redis.call('HDEL', key, 'more', 'stems')
  for part = 1, old[4] - 1 do redis.call('UNLINK', part_key(base, part, id)) end
  redis.call('HSET', key, 'memory', stays .. '\0' .. ARGV[9], 'embedding', first_of(ARGV[11], text[4]),
    unpack(ARGV[10] == '' and {} or {'stems', ARGV[10]}))
  set_others(key, base, id, ARGV[11], text[4], user, type, project)
  count_text(delta, old[3], old[2], -1)
  count_text(delta, text[3], text[2], 1)
  count(delta, 'vectors', text[4] - old[4])
elseif type ~= old_type then
  for part = 1, old[4] - 1 do redis.call('HSET', part_key(base, part, id), 'type', type) end
end
if type ~= old_type then
  local place = cjson.decode(stays)[6]
  redis.call('ZREM', order, member_of(place, id, old_type, project))
  redis.call('ZADD', order, 0, member_of(place, id, type, project))
  count_memory(delta, old_type, project, 0, -1)
  count_memory(delta, type, project, 0, 1)
end
apply(meta, delta, {'epoch', epoch})
return redis.call('HMGET', key, 'memory', 'state')
