-- KEYS: nodes, until when each is one of them. ARGV: id, node (JSON), time (ms)
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[2], whole(now() + tonumber(ARGV[3])), ARGV[1])
