-- KEYS: request. ARGV: id, verdict (JSON), at (Unix s)
-- Returns {request, verdict or nil, whether this call decided}, nil when there is none.
local kept = redis.call('HMGET', KEYS[1], 'request', 'verdict', 'expires', 'waiting')
if not kept[1] then
  return false
end
if kept[2] or tonumber(ARGV[3]) >= tonumber(kept[3]) then
  return {kept[1], kept[2], 0}
end
redis.call('HSET', KEYS[1], 'verdict', ARGV[2])
redis.call('ZREM', kept[4], ARGV[1])
return {kept[1], ARGV[2], 1}
