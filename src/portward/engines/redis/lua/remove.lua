-- Deletes a stream. KEYS: meta, log, times, latest, order, gone. Returns how many of its keys there were.
local meta, log, times, latest, order, gone = unpack(KEYS)
leave(meta, gone)
return redis.call('DEL', meta, log, times, latest, order)
