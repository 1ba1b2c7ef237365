#!lua flags=allow-oom
-- fence: declares an incarnation dead, if its counter is still the one the caller saw.
--
-- KEYS  alive
-- ARGV  name, victim, counter seen
-- Reply OK (also when it was fenced already) · CHANGED: it beat meanwhile, or is gone · FENCED: the caller itself is

--@include member.lua

if not is_member(KEYS[1], ARGV[1]) then return {'FENCED'} end
local counter = redis.call('HGET', KEYS[1], ARGV[2])
if counter == 'F' then return {'OK'} end
if counter ~= ARGV[3] then return {'CHANGED'} end
redis.call('HSET', KEYS[1], ARGV[2], 'F')
return {'OK'}
