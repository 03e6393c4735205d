-- KEYS: list by when, list by until when. ARGV: at. Returns entries with their time, in order.
local over = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', whole(math.floor(now() / 1000)))
for _, entry in ipairs(over) do
  redis.call('ZREM', KEYS[1], entry)
  redis.call('ZREM', KEYS[2], entry)
end
local found = {}
for _, entry in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], ARGV[1], '+inf')) do
  found[#found + 1] = {entry, redis.call('ZSCORE', KEYS[1], entry), redis.call('ZSCORE', KEYS[2], entry)}
end
return found
