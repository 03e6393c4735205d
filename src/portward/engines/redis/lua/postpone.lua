-- Puts off when to look whether a record ends. KEYS: due. ARGV: key of the record, milliseconds from now
redis.call('ZADD', KEYS[1], 'XX', 'GT', whole(now() + tonumber(ARGV[2])), ARGV[1])
