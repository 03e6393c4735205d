-- Takes a record out of those that end. KEYS: due, makers, counts
-- ARGV: key of the record, "1" when it does not count for its maker any more, when it expires (ms, "" for never),
--       the time in the list that was seen ("" for whatever it is): another one is of a later record
local due, makers, counts = unpack(KEYS)
if ARGV[4] ~= '' then
  local score = redis.call('ZSCORE', due, ARGV[1])
  if score and score ~= ARGV[4] then
    return
  end
end
redis.call('ZREM', due, ARGV[1])
if ARGV[2] == '1' then
  local maker = redis.call('HGET', makers, ARGV[1])
  if maker then
    redis.call('HDEL', makers, ARGV[1])
    if redis.call('HINCRBY', counts, maker, -1) <= 0 then
      redis.call('HDEL', counts, maker)
    end
  end
end
if ARGV[3] ~= '' then
  redis.call('ZADD', due, ARGV[3], ARGV[1])
end
