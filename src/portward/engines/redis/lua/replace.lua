-- Replaces a whole set. ARGV: its members
redis.call('DEL', KEYS[1])
for _, member in ipairs(ARGV) do
  redis.call('SADD', KEYS[1], member)
end
