-- Remembers channels of a user. KEYS: returns. ARGV: for how long (ms), how many at most, channels
local until_ = now() + tonumber(ARGV[1])
for n = 3, #ARGV do
  redis.call('ZADD', KEYS[1], whole(until_), ARGV[n])
end
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -tonumber(ARGV[2]) - 1)
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1
