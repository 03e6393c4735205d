-- ARGV: connection, user, the member (JSON), users allowed (0 for any), lease (ms), time of the metadata (ms)
-- Returns the number of this join for the user's first connection, 0 for another one, -1 when the channel is full.
local members, users, leases = unpack(KEYS)
local client, user, limit = ARGV[1], ARGV[2], tonumber(ARGV[4])
if limit > 0 and redis.call('HEXISTS', members, client) == 0
  and redis.call('HEXISTS', users, user) == 0 and redis.call('HLEN', users) >= limit then
  return -1
end
local first = enter(members, users, leases, client, user, ARGV[3], now() + tonumber(ARGV[5]))
keep(members, users, leases, ARGV[6])
return first and microseconds() or 0
