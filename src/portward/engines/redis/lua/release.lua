-- ARGV: connection, time (ms)
if redis.call('HGET', KEYS[1], 'client') == ARGV[1] then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
