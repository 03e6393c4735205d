-- KEYS: records. ARGV: fields. Returns the fields of each record.
local found = {}
for index, key in ipairs(KEYS) do
  found[index] = redis.call('HMGET', key, unpack(ARGV))
end
return found
