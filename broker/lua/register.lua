#!lua flags=allow-oom
-- register: a new incarnation joins the partition, before its first read.
--
-- KEYS  alive, types, the four lanes (recovered, high, normal, low)
-- ARGV  name, types (space-separated)
-- Reply OK, Redis's Unix ms
--       EXISTS: the name was used before (or its register was answered into the void): take a new one
--
-- The groups are made here too, at 0, so that a jobd can start while Redis refuses commands for want of memory.

if redis.call('HSETNX', KEYS[1], ARGV[1], '0') == 0 then return {'EXISTS'} end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
for i = 3, 6 do
  local made = redis.pcall('XGROUP', 'CREATE', KEYS[i], 'jobq', '0', 'MKSTREAM')
  if type(made) == 'table' and made.err and not made.err:find('BUSYGROUP', 1, true) then
    redis.call('HDEL', KEYS[1], ARGV[1])
    redis.call('HDEL', KEYS[2], ARGV[1])
    return made
  end
end
local now = redis.call('TIME')
return {'OK', now[1] * 1000 + math.floor(now[2] / 1000)}
