-- Deletes memories with all that belongs to them. Everything is read before anything is written, so that a memory that
-- cannot be read (its counts stay then) does not leave the others half deleted.
--
-- KEYS: meta, order, then the key of each memory.
-- ARGV: epoch, base, project (only memories of it; empty for all), then the id of each memory.
-- Returns how many there were, and how many vectors the user had before and has left.

local function read(memory)
  local stays, text = halves(memory)
  local _, length, stems, vectors = unpack(cjson.decode(text), 1, 4)
  next(stems)
  return '' .. cjson.decode(stays)[6], {'', length + 0, stems, vectors + 0}
end

local function parts_there(base, id)
  local number = 1
  while redis.call('EXISTS', part_key(base, number, id)) == 1 do number = number + 1 end
  return number
end

local meta, order = KEYS[1], KEYS[2]
local epoch, base, wanted = ARGV[1], ARGV[2], ARGV[3]
local before = tonumber(redis.call('HGET', meta, 'vectors') or 0)
local gone, places, delta = {}, {}, {}
local deleted = 0
for index = 3, #KEYS do
  local id = ARGV[index + 1]
  local row = redis.call('HMGET', KEYS[index], 'type', 'project', 'memory')
  local type, project = row[1], row[2] or ''
  if type and (wanted == '' or wanted == project) then
    local sound, place, text = pcall(read, row[3])
    if not sound then place, text = '', {'', 0, {}, parts_there(base, id)} end
    gone[#gone + 1] = KEYS[index]
    for part = 1, text[4] - 1 do gone[#gone + 1] = part_key(base, part, id) end
    places[#places + 1] = member_of(place, id, type, project)
    count_memory(delta, type, project, text[4], -1)
    count_text(delta, text[3], text[2], -1)
    deleted = deleted + 1
  end
end
if deleted > 0 then
  for start = 1, #gone, CHUNK do redis.call('UNLINK', unpack(gone, start, math.min(start + CHUNK - 1, #gone))) end
  redis.call('ZREM', order, unpack(places))
  apply(meta, delta, {'epoch', epoch})
end
local left = tonumber(redis.call('HGET', meta, 'vectors') or 0)
if deleted > 0 and left == 0 then redis.call('UNLINK', meta, order) end
return {deleted, before, left}
