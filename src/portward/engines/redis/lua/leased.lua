-- KEYS: until when each member is valid, their values. Returns the members that still are, with their values.
for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', whole(now()))) do
  redis.call('ZREM', KEYS[1], member)
  redis.call('HDEL', KEYS[2], member)
end
return redis.call('HGETALL', KEYS[2])
