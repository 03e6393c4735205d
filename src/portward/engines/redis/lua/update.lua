-- Changes a record and its indexes, if its fields are as expected. KEYS: record, and the index of each entry
-- ARGV: time (ms, "" to leave it), "1" to make no record, "1" to store values after the number of times they were set,
--       that number now ("" for any), then lists that begin with their length: expected fields (name, and "" for none or
--       "=" and the value), fields to set (name and value), fields to return; then for each index: member, score
--       ("" to remove it, "+" for the highest), limit, members up to this score to remove first ("" for none),
--       "1" to evict, field that gets the name of the index ("" for none)
-- Returns 1 when it was changed, else 0; and the fields to return.
local record, at = KEYS[1], 5

local function next_list(width)
  local list = {}
  for n = 1, tonumber(ARGV[at]) * width do
    list[n] = ARGV[at + n]
  end
  at = at + #list + 1
  return list
end

local expected, set, read = next_list(2), next_list(2), next_list(1)
local entries = {}
for n = 2, #KEYS do
  entries[n] = {unpack(ARGV, at, at + 5)}
  at = at + 6
end

local function answer(done)
  return {done, #read > 0 and redis.call('HMGET', record, unpack(read)) or {}}
end

if ARGV[2] == '1' and redis.call('EXISTS', record) == 0 then
  return answer(0)
end
if ARGV[3] == '1' then
  for n = 1, #set, 2 do
    local kept = redis.call('HGET', record, set[n])
    local number = kept and string.match(kept, '^%d+') or '0'
    if ARGV[4] ~= '' and number ~= ARGV[4] then
      return answer(0)
    end
    set[n + 1] = whole(tonumber(number) + 1) .. ' ' .. set[n + 1]
  end
end
for n = 1, #expected, 2 do
  local kept = redis.call('HGET', record, expected[n])
  if (kept and '=' .. kept or '') ~= expected[n + 1] then
    return answer(0)
  end
end
for n, entry in pairs(entries) do
  local limit, floor = tonumber(entry[3]), entry[4]
  if floor ~= '' then
    redis.call('ZREMRANGEBYSCORE', KEYS[n], '-inf', floor)
  end
  if limit > 0 and entry[5] ~= '1' and redis.call('ZCARD', KEYS[n]) >= limit then
    return answer(0)
  end
end

if #set > 0 then
  redis.call('HSET', record, unpack(set))
end
for n, entry in pairs(entries) do
  local member, score, limit = entry[1], entry[2], tonumber(entry[3])
  if score == '' then
    redis.call('ZREM', KEYS[n], member)
  else
    if score == '+' then
      local highest = redis.call('ZREVRANGE', KEYS[n], 0, 0, 'WITHSCORES')
      score = highest[2] and whole(tonumber(highest[2]) + 1) or 1
    end
    redis.call('ZADD', KEYS[n], score, member)
    if entry[6] ~= '' then
      redis.call('HSET', record, entry[6], KEYS[n])
    end
    while entry[5] == '1' and redis.call('ZCARD', KEYS[n]) > limit do
      redis.call('HDEL', record, redis.call('ZPOPMIN', KEYS[n])[1])
    end
    -- A bounded index lives as long as its records; one without a bound is pruned when it is read.
    if limit > 0 and ARGV[1] ~= '' and redis.call('PTTL', KEYS[n]) < tonumber(ARGV[1]) then
      redis.call('PEXPIRE', KEYS[n], ARGV[1])
    end
  end
end
if ARGV[1] ~= '' then
  redis.call('PEXPIRE', record, ARGV[1])
end
return answer(1)
