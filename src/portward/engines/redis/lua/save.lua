-- ARGV: record (JSON), nonce, connection, time (ms)
redis.call('HSET', KEYS[1], 'record', ARGV[1], 'nonce', ARGV[2], 'client', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
