-- The generation of the primary: its replication id, which is new after a restart and after a failover. What the
-- primary before it acknowledged may be missing here. Metadata has it in the field `reign`.
local function generation_of()
  return string.match(redis.call('INFO', 'replication'), 'master_replid:(%w+)')
end

-- Where the count of a channel is, for BITFIELD. `epochs` has 16 characters that were chosen at random when
-- it was made, and after them one 32-bit count for each of so many groups of channels.
local function count_of(meta, groups)
  return '#' .. whole(4 + tonumber(string.sub(redis.sha1hex(meta), 1, 8), 16) % groups)
end

-- The epoch of a channel without a stream, which is also the epoch of the stream that it gets next.
--
-- Nothing is kept for the channel: the epoch follows from the channel, the generation, the characters, and how
-- many streams of its group were made. A store that was emptied has other characters.
local function next_epoch(meta, epochs, groups, generation, candidate)
  local characters = redis.call('GETRANGE', epochs, 0, 15)
  if #characters < 16 then
    characters = string.sub(candidate, 1, 16)
    redis.call('SET', epochs, characters)
  end
  local count = redis.call('BITFIELD', epochs, 'GET', 'u32', count_of(meta, groups))[1]
  local seed = table.concat({characters, generation, whole(count), meta}, ' ')
  return string.sub(redis.sha1hex(seed), 1, 16)
end

-- Opens the stream of a channel, or makes it. Returns its life, epoch and offset.
--
-- An epoch is valid only in the generation in which it was made. The making of a stream is counted, not its end:
-- streams run out by themselves, and after any end the next one has another epoch.
local function open(meta, log, times, latest, order, epochs, groups, candidate)
  local generation = generation_of()
  local kept = redis.call('HMGET', meta, 'epoch', 'offset', 'reign', 'life')
  if not kept[1] or not kept[2] then
    local epoch = next_epoch(meta, epochs, groups, generation, candidate)
    redis.call('BITFIELD', epochs, 'INCRBY', 'u32', count_of(meta, groups), 1)
    redis.call('DEL', log, times, latest, order)
    redis.call('HSET', meta, 'epoch', epoch, 'offset', 0, 'reign', generation, 'life', epoch)
    return epoch, epoch, 0
  end
  if kept[3] ~= generation then
    redis.call('HSET', meta, 'epoch', candidate, 'reign', generation)
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
