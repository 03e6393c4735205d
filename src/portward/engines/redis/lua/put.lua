-- KEYS: values (key -> version and value), turns (key -> in which turn it was set)
-- ARGV: key, value (JSON), version ("" for any), time (ms), keys kept. Returns {version, value, put}.
local current = redis.call('HGET', KEYS[1], ARGV[1])
local version, value = 0, ''
if current then
  local number, rest = string.match(current, '^(%d+) (.*)$')
  version, value = tonumber(number), rest
end
local put = ARGV[3] == '' or tonumber(ARGV[3]) == version
if put then
  version, value = version + 1, ARGV[2]
  redis.call('HSET', KEYS[1], ARGV[1], whole(version) .. ' ' .. value)
  local newest = redis.call('ZREVRANGE', KEYS[2], 0, 0, 'WITHSCORES')
  redis.call('ZADD', KEYS[2], newest[2] and whole(tonumber(newest[2]) + 1) or 1, ARGV[1])
  while redis.call('ZCARD', KEYS[2]) > tonumber(ARGV[5]) do
    redis.call('HDEL', KEYS[1], redis.call('ZPOPMIN', KEYS[2])[1])
  end
end
redis.call('PEXPIRE', KEYS[1], ARGV[4])
redis.call('PEXPIRE', KEYS[2], ARGV[4])
return {version, value, put and 1 or 0}
