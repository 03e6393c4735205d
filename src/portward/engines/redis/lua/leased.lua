-- KEYS: until when each member is valid, and perhaps their values. Returns the members that still are, with values.
for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', whole(now()))) do
  redis.call('ZREM', KEYS[1], member)
  if KEYS[2] then
    redis.call('HDEL', KEYS[2], member)
  end
end
if KEYS[2] then
  return redis.call('HGETALL', KEYS[2])
end
local found = {}
for _, member in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  found[#found + 1] = member
  found[#found + 1] = ''
end
return found
