-- KEYS: request, those that wait in its channel
-- ARGV: id, request (JSON), expires at (Unix s), kept until (Unix ms), now (Unix s), how many may wait
if redis.call('EXISTS', KEYS[1]) == 1 then
  return 0
end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', ARGV[5])
if redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[6]) then
  return 0
end
redis.call('HSET', KEYS[1], 'request', ARGV[2], 'expires', ARGV[3], 'waiting', KEYS[2])
redis.call('PEXPIREAT', KEYS[1], ARGV[4])
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[1])
local ends = redis.call('PTTL', KEYS[1])
if ends > redis.call('PTTL', KEYS[2]) then
  redis.call('PEXPIREAT', KEYS[2], ARGV[4])
end
return 1
