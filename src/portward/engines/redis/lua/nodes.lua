-- KEYS: nodes, until when each is one of them. Returns those that still are.
for _, uid in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', whole(now()))) do
  redis.call('ZREM', KEYS[2], uid)
  redis.call('HDEL', KEYS[1], uid)
end
return redis.call('HVALS', KEYS[1])
