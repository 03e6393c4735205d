-- Admits an entry to a bounded list. ARGV: entry, how many at most, time (ms)
-- Returns 0 when the list is full and the entry is not in it.
local time = now()
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', whole(time))
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) and redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then
  return 0
end
redis.call('ZADD', KEYS[1], whole(time + tonumber(ARGV[3])), ARGV[1])
return 1
