-- ARGV: nonce, new nonce, connection. Returns the record, nil when there is none with this nonce.
if redis.call('HGET', KEYS[1], 'nonce') ~= ARGV[1] then
  return false
end
redis.call('HSET', KEYS[1], 'nonce', ARGV[2], 'client', ARGV[3])
return redis.call('HGET', KEYS[1], 'record')
