-- Notes in the list of all leases when these run out. ARGV: lease (ms), entries
local until_ = whole(now() + tonumber(ARGV[1]))
for index = 2, #ARGV do
  redis.call('ZADD', KEYS[1], until_, ARGV[index])
end
