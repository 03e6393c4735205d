-- ARGV: connection. Returns 1 when it was its user's last one there.
local _, last = leave(KEYS[1], KEYS[2], KEYS[3], ARGV[1])
return last and 1 or 0
