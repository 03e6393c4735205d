-- KEYS come in threes, one for each channel: members (connection -> when it entered and the member), users
-- (user -> how many of its connections are there), leases (connection -> when its lease runs out).

-- Comings and goings are numbered by the time of the server in microseconds, so that nodes know their order.
local function microseconds()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000000 + tonumber(time[2])
end

local function enter(members, users, leases, client, user, text, until_)
  redis.call('ZADD', leases, whole(until_), client)
  if redis.call('HEXISTS', members, client) == 1 then
    return false
  end
  redis.call('HSET', members, client, whole(microseconds()) .. ' ' .. text)
  return redis.call('HINCRBY', users, user, 1) == 1
end

-- Returns the member, nil when it was not there, and whether it was the user's last connection there.
local function leave(members, users, leases, client)
  local kept = redis.call('HGET', members, client)
  redis.call('ZREM', leases, client)
  if not kept then
    return nil, false
  end
  redis.call('HDEL', members, client)
  local text = string.match(kept, '^%d+ (.*)$')
  local user = cjson.decode(text).user
  if redis.call('HINCRBY', users, user, -1) > 0 then
    return text, false
  end
  redis.call('HDEL', users, user)
  return text, true
end

local function keep(members, users, leases, milliseconds)
  redis.call('PEXPIRE', members, milliseconds)
  redis.call('PEXPIRE', users, milliseconds)
  redis.call('PEXPIRE', leases, milliseconds)
end
