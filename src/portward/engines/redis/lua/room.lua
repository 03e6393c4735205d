-- Reads a record. KEYS: record, about
-- Returns {record, "1" when it has expired, origin, maker, life, when it expires (ms), time unused (ms)}.
--
-- Nodes of an older version let records run out; a record that is read here stays.
local kept = redis.call('GET', KEYS[1])
if not kept then
  return {false, '', false, false, false, false, false}
end
if redis.call('PTTL', KEYS[1]) >= 0 then
  redis.call('PERSIST', KEYS[1])
end
local about = redis.call('HMGET', KEYS[2], 'origin', 'maker', 'life', 'expires', 'idle')
local over = about[4] and about[4] ~= '' and tonumber(about[4]) <= now()
return {kept, over and '1' or '', unpack(about)}
