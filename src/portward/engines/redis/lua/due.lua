-- Entries of a list whose time is over. ARGV: how many at most
return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', whole(now()), 'LIMIT', 0, ARGV[1])
