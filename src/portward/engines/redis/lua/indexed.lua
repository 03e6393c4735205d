-- Members of an index with fields of their records; members without a record are removed.
-- KEYS: index, and perhaps one of when the members end (Unix s)
-- ARGV: lowest score, how many at most (-1 for all), key of a record before the member, fields
local function encoded(text)
  return (string.gsub(text, "[^A-Za-z0-9_.~:@/+,;=!$&'()|-]", function(character)
    return string.format('%%%02X', string.byte(character))
  end))
end

if KEYS[2] then
  local over = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', whole(math.floor(now() / 1000)))
  for _, member in ipairs(over) do
    redis.call('ZREM', KEYS[1], member)
    redis.call('ZREM', KEYS[2], member)
  end
end
local found = {}
for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], ARGV[1], '+inf', 'LIMIT', 0, ARGV[2])) do
  local record = ARGV[3] .. encoded(member)
  if redis.call('EXISTS', record) == 1 then
    found[#found + 1] = {member, redis.call('HMGET', record, unpack(ARGV, 4))}
  else
    redis.call('ZREM', KEYS[1], member)
  end
end
return found
