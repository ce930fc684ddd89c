-- Takes away all that the cache holds of a user, and leaves a lease that no earlier reader has seen.
--
-- KEYS: the user's hash.
-- ARGV: the lease, how long it stays (milliseconds).

redis.call('UNLINK', KEYS[1])  -- first, for a full server allows a script that has written to go on
redis.call('HSET', KEYS[1], 'lease', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
