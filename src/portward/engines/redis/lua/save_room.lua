-- Makes or replaces a record that does not end unused. KEYS: record, about
-- ARGV: record, origin, "1" to keep the maker, when it expires (ms, "" for never), life of a new one,
--       life of one of which nothing else is known
-- Returns 0, and does nothing, when there is one that has expired.
local life, maker = ARGV[5], ''
if redis.call('EXISTS', KEYS[1]) == 1 then
  local before = redis.call('HMGET', KEYS[2], 'life', 'maker', 'expires')
  if before[3] and before[3] ~= '' and tonumber(before[3]) <= now() then
    return 0
  end
  life = before[1] or ARGV[6]
  maker = ARGV[3] == '1' and before[2] or ''
end
redis.call('SET', KEYS[1], ARGV[1])
redis.call('HSET', KEYS[2], 'origin', ARGV[2], 'maker', maker, 'life', life, 'expires', ARGV[4], 'idle', '')
return 1
