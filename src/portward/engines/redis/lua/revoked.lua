-- KEYS: what may be revoked. Returns for each of them {at, until}, or nil.
local found = {}
for index, key in ipairs(KEYS) do
  local kept = redis.call('HMGET', key, 'at', 'until')
  found[index] = kept[1] and kept or false
end
return found
