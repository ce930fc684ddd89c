-- Sets fields of a memory that exists; what is not named stays.
--
-- KEYS: meta, order, the memory.
-- ARGV: epoch, base, project (must be the memory's; empty for any), id, updated (microseconds),
--   type and importance (empty: stay), number of fields and values of a new text (0: the text stays),
--   and with a new text: its length, number of stems, number of vectors beside the first, number of fields and values
--   of those vectors' hashes, then the fields and values, the stems, and for each vector its fields and values.
--   The last fields wanted back follow, behind their number.
-- Returns the fields wanted, or nil when there is no such memory.

local meta, order, key = KEYS[1], KEYS[2], KEYS[3]
local epoch, base, wanted, id, updated = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local type, importance, fields = ARGV[6], ARGV[7], tonumber(ARGV[8])
local row = redis.call('HMGET', key, 'type', 'project', 'place', 'document', 'parts', 'updated')
local old_type, project = row[1], row[2] or ''
if not old_type or (wanted ~= '' and wanted ~= project) then return false end
local parts = tonumber(row[5]) or 1
local at = 9

if fields > 0 then
  local length, stems = ARGV[at], tonumber(ARGV[at + 1])
  local new_parts, part_fields = tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local first = at + 4
  local first_stem = first + fields
  local first_part = first_stem + stems
  at = first_part + new_parts * part_fields
  local old_stems, old_length = counted(row[4])
  redis.call('HDEL', key, 'parts', 'more')
  redis.call('HSET', key, unpack(ARGV, first, first_stem - 1))
  for part = 1, parts - 1 do redis.call('UNLINK', part_key(base, part, id)) end
  for part = 1, new_parts do
    local start = first_part + (part - 1) * part_fields
    redis.call('HSET', part_key(base, part, id), 'type', old_type, unpack(ARGV, start, start + part_fields - 1))
    if project ~= '' then redis.call('HSET', part_key(base, part, id), 'project', project) end
  end
  count_stems(meta, old_stems, 1, #old_stems, -1)
  count_stems(meta, ARGV, first_stem, first_part - 1, 1)
  redis.call('HINCRBY', meta, 'length', length - old_length)
  redis.call('HINCRBY', meta, 'vectors', 1 + new_parts - parts)
  parts = 1 + new_parts
end

if type ~= '' and type ~= old_type then
  redis.call('HSET', key, 'type', type)
  for part = 1, parts - 1 do redis.call('HSET', part_key(base, part, id), 'type', type) end
  redis.call('ZREM', order, member_of(row[3], id, old_type, project))
  redis.call('ZADD', order, 0, member_of(row[3], id, type, project))
  count_type(meta, old_type, project, -1)
  count_type(meta, type, project, 1)
end
if importance ~= '' then redis.call('HSET', key, 'importance', importance) end
if tonumber(updated) > tonumber(row[6]) then redis.call('HSET', key, 'updated', updated) end
redis.call('HSET', meta, 'epoch', epoch)
return redis.call('HMGET', key, unpack(ARGV, at, #ARGV))
