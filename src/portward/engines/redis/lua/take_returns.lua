-- Forgets channels of a user. KEYS: returns. ARGV: channels. Returns those that were remembered.
local moment, found = now(), {}
for n = 1, #ARGV do
  local kept = redis.call('ZSCORE', KEYS[1], ARGV[n])
  if kept then
    redis.call('ZREM', KEYS[1], ARGV[n])
    if tonumber(kept) > moment then
      found[#found + 1] = ARGV[n]
    end
  end
end
return found
