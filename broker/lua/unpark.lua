#!lua flags=allow-oom
-- unpark: parked jobs whose type the caller knows go to recovered unchanged; at most 100 or 64 KiB a call, the rest
-- stays parked.
--
-- KEYS  parked, recovered, alive
-- ARGV  name, entry ids of parked
-- Reply OK, moved
--       FENCED

--@include member.lua

local TAKE, TAKE_BYTES = 100, 65536
if not is_member(KEYS[3], ARGV[1]) then return {'FENCED'} end
local moved, bytes = 0, 0
for i = 2, #ARGV do
  if moved >= TAKE or bytes >= TAKE_BYTES then break end
  local entry = redis.call('XRANGE', KEYS[1], ARGV[i], ARGV[i])[1]
  if entry then
    redis.call('XADD', KEYS[2], '*', unpack(entry[2]))
    redis.call('XDEL', KEYS[1], ARGV[i])
    for _, field in ipairs(entry[2]) do bytes = bytes + #field end
    moved = moved + 1
  end
end
return {'OK', moved}
