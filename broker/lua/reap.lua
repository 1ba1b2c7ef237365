#!lua flags=allow-oom
-- reap: what is pending of a fenced incarnation goes to recovered with losses + 1, beyond the budget flagged
-- exhausted; at most 100 entries or 64 KiB a call. The call that finds none left in any lane forgets the victim.
--
-- KEYS  the four lanes (recovered, high, normal, low), alive, types, stats of the minute, info
-- ARGV  name, victim, loss budget
-- Reply OK, more (1: call again, 0: gone), entries copied
--       CHANGED: the victim is not fenced, or gone · FENCED: the caller is

--@include member.lua
--@include stats.lua
--@include header.lua
--@include takeover.lua
--@include trim.lua

local alive = KEYS[5]
if not is_member(alive, ARGV[1]) then return {'FENCED'} end
if redis.call('HGET', alive, ARGV[2]) ~= 'F' then return {'CHANGED'} end
local budget = tonumber(ARGV[3])
local lanes = {KEYS[1], KEYS[2], KEYS[3], KEYS[4]}
local copied, more, touched = take_over(lanes, ARGV[2], function(h) return header_add_loss(h, budget) end)
for lane in pairs(touched) do trim(lane, {}, 1, 0) end
if not more then forget(lanes, {alive, KEYS[6], KEYS[8]}, ARGV[2]) end
count(KEYS[7], 'reaped', copied)
return {'OK', more and 1 or 0, copied}
