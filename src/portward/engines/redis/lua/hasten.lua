-- Has a record looked at now. KEYS: due. ARGV: key of the record
-- Returns the time under which it is in the list.
local at = whole(now())
redis.call('ZADD', KEYS[1], at, ARGV[1])
return at
