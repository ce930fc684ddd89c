-- Stores memories that are not there yet: records, vectors, statistics and a new epoch.
--
-- KEYS: meta, order, then the key of each memory.
-- ARGV: epoch, user id, digest of the user, base, what the vectors are; then for each memory four:
--   the JSON list [id, place, type, project, state, tags of the stems], what stays, what follows from the text,
--   the vectors one behind the other.
-- Returns for each memory 1 when it was stored, 0 when it was there; then how many vectors the user has now, and 1 when
-- there was nothing of the user before. Returns nil when the user's vectors are others; nothing was stored then.

local meta, order = KEYS[1], KEYS[2]
local epoch, user_id, user, base = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local layout = redis.call('HGET', meta, 'layout')
if layout and layout ~= ARGV[5] then return false end
local reply, delta, places = {}, {}, {}
for index = 3, #KEYS do
  local key, at = KEYS[index], 6 + (index - 3) * 4
  if redis.call('EXISTS', key) == 1 then
    reply[#reply + 1] = 0
  else
    local id, place, type, project, state, tags = unpack(cjson.decode(ARGV[at]))
    local text = cjson.decode(ARGV[at + 2])
    local number = text[4]
    redis.call('HSET', key, 'user', user, 'type', type, 'state', state,
      'memory', ARGV[at + 1] .. '\0' .. ARGV[at + 2], 'embedding', first_of(ARGV[at + 3], number),
      unpack(tags == '' and {} or {'stems', tags}))
    if project ~= '' then redis.call('HSET', key, 'project', project) end
    set_others(key, base, id, ARGV[at + 3], number, user, type, project)
    places[#places + 1] = 0
    places[#places + 1] = member_of(place, id, type, project)
    count_memory(delta, type, project, number, 1)
    count_text(delta, text[3], text[2], 1)
    reply[#reply + 1] = 1
  end
end
if #places > 0 then
  redis.call('ZADD', order, unpack(places))
  apply(meta, delta, {'epoch', epoch, 'user', user_id, 'layout', ARGV[5]})
end
reply[#reply + 1] = tonumber(redis.call('HGET', meta, 'vectors') or 0)
reply[#reply + 1] = layout and 0 or 1
return reply
