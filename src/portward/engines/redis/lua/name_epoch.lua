-- Takes epochs of a channel that was empty for names of the epoch that it has now. KEYS: meta
-- ARGV: that epoch, the others
local meta = KEYS[1]
if redis.call('HGET', meta, 'epoch') == ARGV[1] then
  for n = 2, #ARGV do
    name_epoch(meta, ARGV[n], ARGV[1])
  end
end
return 1
