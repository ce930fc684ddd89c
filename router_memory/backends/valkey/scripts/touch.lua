-- Counts accesses to memories that exist; a memory that is gone stays gone.
--
-- KEYS: the memories.
-- ARGV: when (microseconds), project (only memories of it; empty for all), then how many accesses to each.

local at, wanted = ARGV[1], ARGV[2]
for index = 1, #KEYS do
  local row = redis.call('HMGET', KEYS[index], 'type', 'project', 'accessed')
  if row[1] and (wanted == '' or wanted == row[2]) then
    redis.call('HINCRBY', KEYS[index], 'accesses', ARGV[index + 2])
    if not row[3] or tonumber(at) > tonumber(row[3]) then redis.call('HSET', KEYS[index], 'accessed', at) end
  end
end
