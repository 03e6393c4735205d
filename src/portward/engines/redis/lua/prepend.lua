-- KEYS: a list
-- ARGV: how many are kept, then what comes before it, the newest last
for number = 2, #ARGV do
  redis.call('LPUSH', KEYS[1], ARGV[number])
end
redis.call('LTRIM', KEYS[1], 0, ARGV[1] - 1)
return #ARGV - 1
