#!lua flags=allow-oom
-- ack: jobs of one lane are done.
--
-- KEYS  lane, alive, stats of the minute, then the unique key of each job that has one
-- ARGV  name, number of entries, their ids (those with a unique key last), then the job id of each unique key;
--       these and KEYS are in the order of the entries
-- Reply OK, how many were still pending
--       FENCED
--
-- XACK has no check of the owner, therefore the fence. Without unique keys this is one XACK and the trim.

--@include member.lua
--@include stats.lua
--@include unique.lua
--@include trim.lua

local lane = KEYS[1]
if not is_member(KEYS[2], ARGV[1]) then return {'FENCED'} end
local last = 2 + tonumber(ARGV[2])
local plain = last - (#KEYS - 3)
local acked = 0
if plain > 2 then acked = redis.call('XACK', lane, 'jobq', unpack(ARGV, 3, plain)) end
for i = 1, #KEYS - 3 do
  if redis.call('XACK', lane, 'jobq', ARGV[plain + i]) == 1 then
    acked = acked + 1
    unique_free(KEYS[3 + i], ARGV[last + i])
  end
end
if acked > 0 then
  count(KEYS[3], 'succeeded', acked)
  trim(lane, ARGV, 3, last)
end
return {'OK', acked}
