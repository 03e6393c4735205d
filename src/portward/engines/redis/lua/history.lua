-- KEYS: meta, log, times, latest, order, epochs
-- ARGV: candidate epoch, time of the metadata (ms), history time (ms), limit, epoch and offset to read after
--       ("" for none), offset to read before ("" for none), "1" for the newest, "1" for the latest by key,
--       groups of channels in epochs
-- Returns {offset, epoch, complete, offset of the first, publications, latest}.
local meta, log, times, latest, order, epochs = unpack(KEYS)
local limit, since, before = tonumber(ARGV[4]), tonumber(ARGV[6]), tonumber(ARGV[7])

if redis.call('HEXISTS', meta, 'offset') == 0 then
  -- A channel without a stream gets none by being read.
  local epoch = next_epoch(meta, epochs, tonumber(ARGV[10]), generation_of(), ARGV[1])
  local complete = ARGV[5] == '' or (ARGV[5] == epoch and since == 0)
  return {0, epoch, complete and 1 or 0, 1, {}, {}}
end

local _, epoch, offset =
  open(meta, log, times, latest, order, epochs, tonumber(ARGV[10]), ARGV[1])
keep(meta, tonumber(ARGV[2]))

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
    keep(latest, tonumber(ARGV[2]))
    keep(order, tonumber(ARGV[2]))
  end
end

if ARGV[5] ~= '' and ARGV[5] ~= epoch then
  return {offset, epoch, 0, 0, {}, snapshot}
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
return {offset, epoch, complete, low, chosen, snapshot}
