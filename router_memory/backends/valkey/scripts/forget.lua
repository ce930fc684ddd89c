-- Deletes memories with all that belongs to them.
--
-- KEYS: meta, order, then the key of each memory.
-- ARGV: epoch, base, project (only memories of it; empty for all), then the id of each memory.
-- Returns how many there were, and how many vectors the user had before and has left.

local meta, order = KEYS[1], KEYS[2]
local epoch, base, wanted = ARGV[1], ARGV[2], ARGV[3]
local deleted = 0
local before = tonumber(redis.call('HGET', meta, 'vectors') or 0)
for index = 3, #KEYS do
  local id = ARGV[index + 1]
  local row = redis.call('HMGET', KEYS[index], 'type', 'project', 'place', 'document', 'parts')
  local type, project = row[1], row[2] or ''
  if type and (wanted == '' or wanted == project) then
    local parts = tonumber(row[5]) or 1
    redis.call('UNLINK', KEYS[index])
    for part = 1, parts - 1 do redis.call('UNLINK', part_key(base, part, id)) end
    redis.call('ZREM', order, member_of(row[3], id, type, project))
    local stems, length = counted(row[4])
    redis.call('HINCRBY', meta, 'documents', -1)
    redis.call('HINCRBY', meta, 'length', -length)
    redis.call('HINCRBY', meta, 'vectors', -parts)
    count_type(meta, type, project, -1)
    count_stems(meta, stems, 1, #stems, -1)
    deleted = deleted + 1
  end
end
local vectors = tonumber(redis.call('HGET', meta, 'vectors') or 0)
if deleted > 0 then
  if vectors > 0 then
    redis.call('HSET', meta, 'epoch', epoch)
  else
    redis.call('UNLINK', meta, order)
  end
end
return {deleted, before, vectors}
