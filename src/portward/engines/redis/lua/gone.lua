-- Notes when (s) a record is deleted, for as long as an epoch from before it was made may come back.
local function leave(meta, gone)
  local kept = redis.call('HMGET', meta, 'offset', 'books')
  if kept[1] then
    redis.call('SET', gone, whole(math.floor(now() / 1000)), 'PX', kept[2] or 691200000)
  end
end
