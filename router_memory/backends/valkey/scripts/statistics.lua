-- What every write does to the user's statistics. Put in front of the scripts that write.
--
-- The hash `meta` holds: user, epoch, documents, length, vectors, n:TYPE and n:TYPE:PROJECT (memories of a type, in
-- all and in one project) and df:STEM (memories that hold the stem).

local CHUNK = 1000  -- unpack() puts everything on a stack of limited size

-- Adds `by` to the document frequency of the stems first to last of a list; one that no memory holds is removed.
local function count_stems(meta, list, first, last, by)
  for start = first, last, CHUNK do
    local stop = math.min(start + CHUNK - 1, last)
    local fields = {}
    for i = start, stop do fields[#fields + 1] = 'df:' .. list[i] end
    local old = redis.call('HMGET', meta, unpack(fields))
    local kept, gone = {}, {}
    for i, field in ipairs(fields) do
      local count = (tonumber(old[i]) or 0) + by
      if count > 0 then
        kept[#kept + 1] = field
        kept[#kept + 1] = count
      else
        gone[#gone + 1] = field
      end
    end
    if #kept > 0 then redis.call('HSET', meta, unpack(kept)) end
    if #gone > 0 then redis.call('HDEL', meta, unpack(gone)) end
  end
end

-- Adds `by` to the number of memories of a type.
local function count_type(meta, type, project, by)
  local fields = {'n:' .. type}
  if project ~= '' then fields[2] = 'n:' .. type .. ':' .. project end
  for _, field in ipairs(fields) do
    if redis.call('HINCRBY', meta, field, by) <= 0 then redis.call('HDEL', meta, field) end
  end
end

-- Where a memory stands in the order of age; the time and the position in front are of fixed width.
local function member_of(place, id, type, project)
  return place .. id .. '\0' .. string.sub(type, 1, 1) .. project
end

-- The key of a memory's vector beside the first one.
local function part_key(base, number, id)
  return base .. '#' .. number .. ':' .. id
end

-- The stems and the length that were counted when a memory was written.
local function counted(document)
  local stored = cjson.decode(document)
  local stems = {}
  for stem in pairs(stored[2]) do stems[#stems + 1] = stem end
  return stems, stored[1]
end
