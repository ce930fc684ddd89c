-- Keeps a value of the cache, unless its user was purged since the one who fills it looked.
--
-- Values of another epoch are dropped, and all of them where they are too many. What is left behind by a purge stays.
--
-- KEYS: the user's hash.
-- ARGV: field, value, epoch, lease, most entries, how long it is kept at least (milliseconds).
-- Returns 1 when it was kept, else 0.

local key, field = KEYS[1], ARGV[1]
local row = redis.call('HMGET', key, 'lease', 'epoch')
local lease = row[1] or ''
if lease ~= ARGV[4] then return 0 end
local bookkeeping = (row[1] and 1 or 0) + (row[2] and 1 or 0)
local left = redis.call('PTTL', key)
local full = redis.call('HLEN', key) - bookkeeping >= tonumber(ARGV[5]) and redis.call('HEXISTS', key, field) == 0
if full or (row[2] and row[2] ~= ARGV[3]) then
  redis.call('UNLINK', key)
  if lease ~= '' then redis.call('HSET', key, 'lease', lease) end
end
redis.call('HSET', key, 'epoch', ARGV[3], field, ARGV[2])
redis.call('PEXPIRE', key, math.max(left, tonumber(ARGV[6])))
return 1
