-- Takes entries out of a list, unless their time was prolonged since.
local time = now()
for _, entry in ipairs(ARGV) do
  local score = redis.call('ZSCORE', KEYS[1], entry)
  if score and tonumber(score) <= time then
    redis.call('ZREM', KEYS[1], entry)
  end
end
