-- KEYS: what is revoked, list by when, list by until when. ARGV: at, until (Unix seconds), entry
-- Of two for the same thing the later and the longer one is kept.
local at, until_ = ARGV[1], ARGV[2]
local kept = redis.call('HMGET', KEYS[1], 'at', 'until')
if kept[1] then
  if tonumber(kept[1]) > tonumber(at) then at = kept[1] end
  if tonumber(kept[2]) > tonumber(until_) then until_ = kept[2] end
end
redis.call('HSET', KEYS[1], 'at', at, 'until', until_)
redis.call('ZADD', KEYS[2], at, ARGV[3])
redis.call('ZADD', KEYS[3], until_, ARGV[3])
if redis.call('PEXPIREAT', KEYS[1], whole(math.ceil(tonumber(until_) * 1000))) == 1
  and redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('ZREM', KEYS[2], ARGV[3])
  redis.call('ZREM', KEYS[3], ARGV[3])
end
