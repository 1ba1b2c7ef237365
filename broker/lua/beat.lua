#!lua flags=allow-oom
-- beat: the caller lives. Only raises a counter that exists and is not fenced: a plain HINCRBY would revive a zombie.
--
-- KEYS  alive, then info if the caller has something new to say of itself
-- ARGV  name, then that
-- Reply OK, Redis's Unix ms, the caller's counter, then all of `alive`: name, counter or F, name, …
--       FENCED

--@include member.lua

if not is_member(KEYS[1], ARGV[1]) then return {'FENCED'} end
local counter = redis.call('HINCRBY', KEYS[1], ARGV[1], 1)
if ARGV[2] then redis.pcall('HSET', KEYS[2], ARGV[1], ARGV[2]) end -- for those who look: it must not cost the beat
local now = redis.call('TIME')
local reply = {'OK', now[1] * 1000 + math.floor(now[2] / 1000), counter}
for i, word in ipairs(redis.call('HGETALL', KEYS[1])) do reply[i + 3] = word end
return reply
