-- Makes a record that may end unused. KEYS: record, about
-- ARGV: record, origin, maker, life, time unused (ms)
-- Returns 0 when there is one.
if redis.call('EXISTS', KEYS[1]) == 1 then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1])
redis.call('HSET', KEYS[2], 'origin', ARGV[2], 'maker', ARGV[3], 'life', ARGV[4], 'expires', '', 'idle', ARGV[5])
return 1
