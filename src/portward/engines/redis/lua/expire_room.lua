-- Lets a record expire now. KEYS: record, about. ARGV: its life, life of one of which nothing else is known
if redis.call('EXISTS', KEYS[1]) == 1 and (redis.call('HGET', KEYS[2], 'life') or ARGV[2]) == ARGV[1] then
  redis.call('HSET', KEYS[2], 'life', ARGV[1], 'expires', whole(now()))
end
