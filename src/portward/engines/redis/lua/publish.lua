-- KEYS: meta, log, times, latest, order, once, ended, epochs
-- ARGV: candidate epoch, draft (JSON), id, idempotency ("" or "=" + anything), its time (ms), history size,
--       history time (ms), time of the metadata (ms), key ("" or "=" + key), keys kept (0 for none),
--       PUBLISH or SPUBLISH, name to announce at, life of the room's record ("" for none),
--       groups of channels in epochs
-- Returns {duplicate, offset, epoch, id}; -1 for duplicate when that life has ended.
local meta, log, times, latest, order, once, ended, epochs = unpack(KEYS)
if ARGV[13] ~= '' and redis.call('GET', ended) == ARGV[13] then
  return {-1, 0, '', ''}
end
local draft, size, metadata_time = ARGV[2], tonumber(ARGV[6]), tonumber(ARGV[8])
local life, epoch, offset =
  open(meta, log, times, latest, order, epochs, tonumber(ARGV[14]), ARGV[1])

if ARGV[4] ~= '' then
  local first = redis.call('HMGET', once, 'life', 'offset', 'epoch', 'id')
  if first[1] == life then
    return {1, tonumber(first[2]), first[3], first[4]}
  end
end

offset = offset + 1
redis.call('HSET', meta, 'offset', whole(offset))
keep(meta, metadata_time)
if size > 0 then
  redis.call('RPUSH', log, draft)
  redis.call('RPUSH', times, whole(now()))
  if redis.call('LLEN', log) > size then
    redis.call('LTRIM', log, -size, -1)
    redis.call('LTRIM', times, -size, -1)
  end
  redis.call('PEXPIRE', log, ARGV[7])
  redis.call('PEXPIRE', times, ARGV[7])
end
if ARGV[10] ~= '0' and ARGV[9] ~= '' then
  local key = string.sub(ARGV[9], 2)
  redis.call('HSET', latest, key, whole(offset) .. ' ' .. draft)
  redis.call('ZADD', order, whole(offset), key)
  while redis.call('ZCARD', order) > tonumber(ARGV[10]) do
    redis.call('HDEL', latest, redis.call('ZPOPMIN', order)[1])
  end
  keep(latest, metadata_time)
  keep(order, metadata_time)
end
if ARGV[4] ~= '' then
  redis.call('HSET', once, 'life', life, 'offset', whole(offset), 'epoch', epoch, 'id', ARGV[3])
  redis.call('PEXPIRE', once, ARGV[5])
end
redis.call(
  ARGV[11], ARGV[12],
  '{"offset":' .. whole(offset) .. ',"epoch":"' .. epoch .. '","draft":' .. draft .. '}'
)
return {0, offset, epoch, ARGV[3]}
