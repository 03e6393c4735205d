-- Epochs of channels without a record: `~`, where they were made, when (s), and a word that no other has.
--
-- Such an epoch is good for as long as no record can have been made and have run out since: a record
-- lasts for `books` after its last use, and one that is deleted leaves the time of that behind.

-- Epochs by which a record is known at most.
local NAMES = 64

-- The store: its reign, and a word that is lost with its contents. `name` is where that is kept, "" for
-- a cluster, where a script sees the keys of one channel alone.
local function origin_of(name, candidate)
  local word = '0'
  if name ~= '' then
    word = redis.call('GET', name)
    if not word then
      redis.call('SET', name, candidate)
      word = candidate
    end
  end
  return string.sub(reign_of(), 1, 8) .. word
end

local function gone_at(gone)
  return tonumber(redis.call('GET', gone) or '0')
end

-- An epoch to hand out now.
local function empty_epoch(origin, gone, word)
  local at = math.max(math.floor(now() / 1000), gone_at(gone) + 1)
  return '~' .. origin .. '-' .. whole(at) .. '-' .. word
end

-- Whether `epoch`, handed out for an empty channel, is good at a time (s).
local function still_empty(epoch, origin, gone, seconds, books)
  local where, at = string.match(epoch, '^~(%w+)%-(%d+)%-%w+$')
  at = tonumber(at)
  if where ~= origin or not at then
    return false
  end
  return at > gone_at(gone) and at <= seconds + 2 and (seconds - at) * 1000 < books
end

-- Takes an epoch of the empty channel for a name of its record's own.
local function name_epoch(meta, name, epoch)
  if redis.call('HLEN', meta) < NAMES then
    redis.call('HSET', meta, 'name:' .. name, epoch)
  end
end
