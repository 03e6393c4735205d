-- Lists a record that may end unused. KEYS: due, makers, counts
-- ARGV: key of the record, its time (ms), its maker ("" for none), how many in all, how many of one maker
-- Returns 1, 0 when there are too many, -1 when this maker has made too many.
local due, makers, counts = unpack(KEYS)
local maker, at = ARGV[3], whole(now() + tonumber(ARGV[2]))
if maker ~= '' and redis.call('HEXISTS', makers, ARGV[1]) == 0 then
  if redis.call('HLEN', makers) >= tonumber(ARGV[4]) then
    return 0
  end
  if tonumber(redis.call('HGET', counts, maker) or '0') >= tonumber(ARGV[5]) then
    return -1
  end
  redis.call('HSET', makers, ARGV[1], maker)
  redis.call('HINCRBY', counts, maker, 1)
end
redis.call('ZADD', due, at, ARGV[1])
return 1
