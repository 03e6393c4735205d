-- Adds members that are valid for a time, or renews them. KEYS: until when each is valid, and perhaps their values
-- ARGV: time (ms), how many at most (0 for any), then member and value of each
local until_, limit = whole(now() + tonumber(ARGV[1])), tonumber(ARGV[2])
for n = 3, #ARGV, 2 do
  if KEYS[2] then
    redis.call('HSET', KEYS[2], ARGV[n], ARGV[n + 1])
  end
  redis.call('ZADD', KEYS[1], until_, ARGV[n])
end
if limit > 0 then
  redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -limit - 1)
end
if not KEYS[2] and redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
