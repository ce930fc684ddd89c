-- What every write does to the user's statistics. Put in front of the scripts that write.
--
-- The hash `meta` holds: user, epoch, documents, length, vectors, n:TYPE and n:TYPE:PROJECT (memories of a type, in
-- all and in one project) and df:STEM (memories that hold the stem). Counters that are 0 are not there.

local CHUNK = 1000  -- unpack() puts everything on a stack of limited size

-- Adds to a counter that `apply` will change.
local function count(delta, field, by)
  delta[field] = (delta[field] or 0) + by
end

-- What one memory is to the statistics: `by` is 1 when it comes and -1 when it goes.
local function count_memory(delta, type, project, vectors, by)
  count(delta, 'documents', by)
  count(delta, 'vectors', by * vectors)
  count(delta, 'n:' .. type, by)
  if project ~= '' then count(delta, 'n:' .. type .. ':' .. project, by) end
end

-- What the stems of a text are to the statistics.
local function count_text(delta, stems, length, by)
  count(delta, 'length', by * length)
  for stem in pairs(stems) do count(delta, 'df:' .. stem, by) end
end

-- Changes the counters and sets the fields and values in `kept`, all at once as far as the stack allows.
local function apply(meta, delta, kept)
  local fields = {}
  for field, by in pairs(delta) do
    if by ~= 0 then fields[#fields + 1] = field end
  end
  for start = 1, math.max(#fields, 1), CHUNK do
    local stop = math.min(start + CHUNK - 1, #fields)
    local old = stop >= start and redis.call('HMGET', meta, unpack(fields, start, stop))
    local gone = {}
    for i = start, stop do
      local value = (tonumber(old[i - start + 1]) or 0) + delta[fields[i]]
      if value > 0 then
        kept[#kept + 1] = fields[i]
        kept[#kept + 1] = value
      else
        gone[#gone + 1] = fields[i]
      end
    end
    if #kept > 0 then redis.call('HSET', meta, unpack(kept)) end
    if #gone > 0 then redis.call('HDEL', meta, unpack(gone)) end
    kept = {}
  end
end

-- Where a memory stands in the order of age; the place in front is of fixed width.
local function member_of(place, id, type, project)
  return place .. id .. '\0' .. string.sub(type, 1, 1) .. project
end

-- The key of a memory's vector beside the first one.
local function part_key(base, number, id)
  return base .. '#' .. number .. ':' .. id
end

-- The two halves of the field `memory`: what stays, and what follows from the text.
local function halves(memory)
  local cut = string.find(memory, '\0', 1, true)
  return string.sub(memory, 1, cut - 1), string.sub(memory, cut + 1)
end

-- The first of some vectors that stand one behind the other.
local function first_of(vectors, number)
  return number == 1 and vectors or string.sub(vectors, 1, #vectors / number)
end

-- Writes the vectors beside the first: all into the memory's hash, and each into a hash of its own to be found by.
local function set_others(key, base, id, vectors, number, user, type, project)
  if number == 1 then return end
  local size = #vectors / number
  redis.call('HSET', key, 'more', string.sub(vectors, size + 1))
  for part = 1, number - 1 do
    local own = part_key(base, part, id)
    local vector = string.sub(vectors, part * size + 1, (part + 1) * size)
    redis.call('HSET', own, 'user', user, 'type', type, 'embedding', vector)
    if project ~= '' then redis.call('HSET', own, 'project', project) end
  end
end
