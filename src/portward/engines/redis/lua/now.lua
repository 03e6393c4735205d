-- Milliseconds of this server's clock; nodes may disagree about the time, a server does not.
local function now()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- Whole numbers as text: Lua's own way turns large ones into powers of ten.
local function whole(number)
  return string.format('%.0f', number)
end
