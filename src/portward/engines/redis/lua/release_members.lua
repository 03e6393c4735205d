-- Removes members. KEYS: until when each is valid, and perhaps their values. ARGV: members
-- Returns those that were valid.
local moment, found = now(), {}
for _, member in ipairs(ARGV) do
  local until_ = redis.call('ZSCORE', KEYS[1], member)
  if until_ then
    redis.call('ZREM', KEYS[1], member)
    if tonumber(until_) > moment then
      found[#found + 1] = member
    end
  end
  if KEYS[2] then
    redis.call('HDEL', KEYS[2], member)
  end
end
return found
