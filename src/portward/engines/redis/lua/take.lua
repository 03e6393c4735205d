-- The generic cell rate algorithm (ITU-T I.371): one number a key, when it will have paid its debt.
-- KEYS: rate. ARGV: interval (microseconds), burst, what the event costs (microseconds). Returns microseconds to wait, 0 when allowed.
local time = redis.call('TIME')
local moment = tonumber(time[1]) * 1000000 + tonumber(time[2])
local interval = tonumber(ARGV[1])
local paid = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), moment) + tonumber(ARGV[3])
local wait = paid - moment - interval * tonumber(ARGV[2])
-- What is told as whole microseconds must let a client through that waits exactly so long.
if wait > 1 then
  return math.ceil(wait)
end
redis.call('SET', KEYS[1], whole(paid), 'PX', whole(math.ceil((paid - moment) / 1000)))
return 0
