-- Opens the stream of a channel. Returns its life, epoch and offset.
--
-- The epoch is only good under the reign it was made in: every primary has a replication id of its own,
-- also after a restart and after a failover, and what the one before it acknowledged may be missing here.
local function open(meta, log, times, latest, order, candidate)
  local reign = string.match(redis.call('INFO', 'replication'), 'master_replid:(%w+)')
  local kept = redis.call('HMGET', meta, 'epoch', 'offset', 'reign', 'life')
  if not kept[1] or not kept[2] then
    redis.call('DEL', log, times, latest, order)
    redis.call('HSET', meta, 'epoch', candidate, 'offset', 0, 'reign', reign, 'life', candidate)
    return candidate, candidate, 0
  end
  if kept[3] ~= reign then
    redis.call('HSET', meta, 'epoch', candidate, 'reign', reign)
    return kept[4], candidate, tonumber(kept[2])
  end
  return kept[4], kept[1], tonumber(kept[2])
end

-- Lets a key live for so many milliseconds more, unless that was done a short while ago.
local function keep(key, milliseconds)
  if redis.call('PTTL', key) < milliseconds * 0.9 then
    redis.call('PEXPIRE', key, milliseconds)
  end
end
