-- Removes connections of one channel whose lease has run out. ARGV: connections that are listed as such
-- Returns who they were, of each user whose last connection that was the last one; and, in twos, which of
-- those listed are there all the same, and for how long (ms): another node may have renewed them since; and the number of this leave. A lease
-- that has run out and was too much for this turn has a moment left, so that it stays in the list.
local gone, there = {}, {}
local time = now()
for _, client in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', whole(time), 'LIMIT', 0, 1000)) do
  local text, last = leave(KEYS[1], KEYS[2], KEYS[3], client)
  if last then
    gone[#gone + 1] = text
  end
end
for _, client in ipairs(ARGV) do
  local until_ = redis.call('ZSCORE', KEYS[3], client)
  if until_ then
    there[#there + 1] = client
    there[#there + 1] = whole(math.max(tonumber(until_) - time, 100))
  end
end
return {gone, there, microseconds()}
