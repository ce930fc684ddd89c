-- Stores memories that are not there yet: records, vectors, statistics and a new epoch.
--
-- KEYS: meta, order, then the key of each memory.
-- ARGV: epoch, user id, base; then for each memory
--   id, place, type, project, length, number of fields and values, number of stems, number of vectors beside the first,
--   number of fields and values of those vectors' hashes, then all these: fields and values, stems, and for each
--   vector its fields and values.
-- Returns for each memory 1 when it was stored, 0 when it was there; then how many vectors the user has now.

local meta, order = KEYS[1], KEYS[2]
local epoch, user, base = ARGV[1], ARGV[2], ARGV[3]
local at = 4
local reply, stored = {}, 0
for index = 3, #KEYS do
  local id, place, type, project = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  local length, fields, stems = ARGV[at + 4], tonumber(ARGV[at + 5]), tonumber(ARGV[at + 6])
  local parts, part_fields = tonumber(ARGV[at + 7]), tonumber(ARGV[at + 8])
  local first = at + 9
  local first_stem = first + fields
  local first_part = first_stem + stems
  at = first_part + parts * part_fields
  if redis.call('EXISTS', KEYS[index]) == 1 then
    reply[#reply + 1] = 0
  else
    redis.call('HSET', KEYS[index], unpack(ARGV, first, first_stem - 1))
    for part = 1, parts do
      local start = first_part + (part - 1) * part_fields
      redis.call('HSET', part_key(base, part, id), unpack(ARGV, start, start + part_fields - 1))
    end
    redis.call('ZADD', order, 0, member_of(place, id, type, project))
    redis.call('HINCRBY', meta, 'documents', 1)
    redis.call('HINCRBY', meta, 'length', length)
    redis.call('HINCRBY', meta, 'vectors', 1 + parts)
    count_type(meta, type, project, 1)
    count_stems(meta, ARGV, first_stem, first_part - 1, 1)
    stored = stored + 1
    reply[#reply + 1] = 1
  end
end
if stored > 0 then redis.call('HSET', meta, 'epoch', epoch, 'user', user) end
reply[#reply + 1] = tonumber(redis.call('HGET', meta, 'vectors') or 0)
return reply
