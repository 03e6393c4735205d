-- Deletes the stream of a room that is to end. KEYS: meta, log, times, latest, order, members, ended
-- ARGV: life that ends ("" when there is no record), for how long it is remembered (ms),
--       NUMSUB or SHARDNUMSUB and where publications are announced, to leave alone a room in use ("" to end it)
-- Returns -1 when the room is in use, else how many keys of the stream there were.
local meta, log, times, latest, order, members, ended = unpack(KEYS)
if ARGV[1] ~= '' and redis.call('GET', ended) == ARGV[1] then
  -- It was begun before; what is here now is of another life.
  return 0
end
if ARGV[3] ~= '' then
  if redis.call('EXISTS', log, latest, members) > 0 then
    return -1
  end
  -- A user who may not ask this relies on presence alone.
  local listeners = redis.pcall('PUBSUB', ARGV[3], ARGV[4])
  if not listeners.err and listeners[2] > 0 then
    return -1
  end
end
if ARGV[1] ~= '' then
  redis.call('SET', ended, ARGV[1], 'PX', ARGV[2])
end
return redis.call('DEL', meta, log, times, latest, order)
