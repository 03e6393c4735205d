-- ARGV: lease (ms), time of the metadata (ms), then for each channel how many connections, and for each of them
-- connection, user, the member (JSON).
local until_, metadata_time = now() + tonumber(ARGV[1]), ARGV[2]
local at = 3
for base = 1, #KEYS, 3 do
  local members, users, leases = KEYS[base], KEYS[base + 1], KEYS[base + 2]
  local count = tonumber(ARGV[at])
  at = at + 1
  for _ = 1, count do
    enter(members, users, leases, ARGV[at], ARGV[at + 1], ARGV[at + 2], until_)
    at = at + 3
  end
  keep(members, users, leases, metadata_time)
end
