-- Removes connections of one channel whose lease has run out. ARGV: connections that are listed as such
-- Returns who they were, of each user whose last connection that was the last one; and which of those
-- listed are there all the same.
local gone, there = {}, {}
for _, client in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', whole(now()), 'LIMIT', 0, 1000)) do
  local text, last = leave(KEYS[1], KEYS[2], KEYS[3], client)
  if last then
    gone[#gone + 1] = text
  end
end
for _, client in ipairs(ARGV) do
  if redis.call('HEXISTS', KEYS[1], client) == 1 then
    there[#there + 1] = client
  end
end
return {gone, there}
