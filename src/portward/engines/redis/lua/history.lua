-- KEYS: meta, log, times, latest, order, gone
-- ARGV: candidate epoch, time of the books (ms), history time (ms), limit, epoch and offset to read after
--       ("" for none), offset to read before ("" for none), "1" for the newest, "1" for the latest by key,
--       where the store's word is kept ("" for a cluster)
-- Returns {offset, epoch, complete, offset of the first, publications, latest, other name of the epoch}.
local meta, log, times, latest, order, gone = unpack(KEYS)
local limit, since, before = tonumber(ARGV[4]), tonumber(ARGV[6]), tonumber(ARGV[7])
local asked, books = ARGV[5], tonumber(ARGV[2])

if redis.call('HEXISTS', meta, 'offset') == 0 then
  -- Nothing is written for a channel in which nothing was published.
  local origin = origin_of(ARGV[10], ARGV[1])
  local epoch = empty_epoch(origin, gone, ARGV[1])
  if asked == '' then
    return {0, epoch, 1, 1, {}, {}, ''}
  end
  if since == 0 and still_empty(asked, origin, gone, math.floor(now() / 1000), books) then
    return {0, epoch, 1, 1, {}, {}, asked}
  end
  return {0, epoch, 0, 0, {}, {}, ''}
end

local _, epoch, offset = open(meta, log, times, latest, order, ARGV[1], ARGV[2])
keep(meta, books)

-- Drop what is too old. The two lists run side by side; if they do not, neither says anything.
local function trim()
  local oldest = now() - tonumber(ARGV[3])
  if redis.call('LLEN', log) ~= redis.call('LLEN', times) then
    redis.call('DEL', log, times)
  end
  local gone
  repeat
    gone = 0
    for _, at in ipairs(redis.call('LRANGE', times, 0, 99)) do
      if tonumber(at) > oldest then
        break
      end
      gone = gone + 1
    end
    if gone > 0 then
      redis.call('LTRIM', log, gone, -1)
      redis.call('LTRIM', times, gone, -1)
    end
  until gone < 100
end
trim()

local snapshot = {}
if ARGV[9] == '1' then
  local keys = redis.call('ZRANGE', order, 0, -1)
  if #keys > 0 then
    snapshot = redis.call('HMGET', latest, unpack(keys))
    keep(latest, books)
    keep(order, books)
  end
end

-- Whether the epoch asked for is another name of this one: it was handed out while the channel was empty.
local function named()
  if redis.call('HGET', meta, 'name:' .. asked) == epoch then
    return true
  end
  local kept = redis.call('HMGET', meta, 'born', 'books', 'life')
  if since ~= 0 or not kept[1] or kept[3] ~= epoch then
    return false
  end
  local origin = origin_of(ARGV[10], ARGV[1])
  if not still_empty(asked, origin, gone, tonumber(kept[1]), tonumber(kept[2])) then
    return false
  end
  name_epoch(meta, asked, epoch)
  return true
end

local name = ''
if asked ~= '' and asked ~= epoch then
  if not named() then
    return {offset, epoch, 0, 0, {}, snapshot, ''}
  end
  name = asked
end
local first = offset - redis.call('LLEN', log) + 1
local low = math.max(first, since and since + 1 or first)
local high = before and math.min(offset + 1, before) or offset + 1
if ARGV[8] == '1' or (before and not since) then
  low = math.max(low, high - limit)
end
high = math.min(high, low + limit)
local chosen = {}
if high > low then
  chosen = redis.call('LRANGE', log, low - first, high - 1 - first)
end
local complete = (not since or since + 1 >= first) and 1 or 0
return {offset, epoch, complete, low, chosen, snapshot, name}
