-- Deletes a record whose stream was deleted. KEYS: record, about
-- ARGV: its life, life of a record of which nothing else is known
-- Returns 1 when there was one.
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('DEL', KEYS[2])
  return 0
end
if (redis.call('HGET', KEYS[2], 'life') or ARGV[2]) ~= ARGV[1] then
  return 0
end
redis.call('DEL', KEYS[1], KEYS[2])
return 1
