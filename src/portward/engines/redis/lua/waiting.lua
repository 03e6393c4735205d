-- KEYS: those that wait in a channel. ARGV: now (Unix s), prefix of requests. Returns the requests.
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[1])
local found = {}
for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  local request = redis.call('HGET', ARGV[2] .. id, 'request')
  if request then
    found[#found + 1] = request
  end
end
return found
