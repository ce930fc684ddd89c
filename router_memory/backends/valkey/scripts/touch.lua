-- Counts accesses to memories that exist; a memory that is gone stays gone.
--
-- KEYS: the memories.
-- ARGV: when (microseconds), project (only memories of it; empty for all), then how many accesses to each.

local at, wanted = ARGV[1], ARGV[2]
for index = 1, #KEYS do
  local row = redis.call('HMGET', KEYS[index], 'state', 'project')
  if row[1] and (wanted == '' or wanted == row[2]) then
    local front, accesses, accessed = string.match(row[1], '^(%S+ %S+ %S+) (%S+) (%S+)$')
    accesses = string.format('%.0f', tonumber(accesses) + tonumber(ARGV[index + 2]))
    if accessed == '-' or tonumber(at) > tonumber(accessed) then accessed = at end
    redis.call('HSET', KEYS[index], 'state', table.concat({front, accesses, accessed}, ' '))
  end
end
