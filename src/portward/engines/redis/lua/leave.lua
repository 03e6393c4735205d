-- ARGV: connection. Returns the number of this leave when it was its user's last one there, else 0.
local _, last = leave(KEYS[1], KEYS[2], KEYS[3], ARGV[1])
return last and microseconds() or 0
