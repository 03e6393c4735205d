-- Notes in the list of all leases when these run out. ARGV: in twos, lease (ms) and entry
local time = now()
for index = 1, #ARGV, 2 do
  redis.call('ZADD', KEYS[1], whole(time + tonumber(ARGV[index])), ARGV[index + 1])
end
