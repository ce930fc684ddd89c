-- Writes down what the data under a prefix are, unless that is written already.
--
-- KEYS: the schema. ARGV: fields and values.
-- Returns the fields and values that are there.

if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('HSET', KEYS[1], unpack(ARGV)) end
return redis.call('HGETALL', KEYS[1])
