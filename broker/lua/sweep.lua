#!lua flags=allow-oom
-- sweep: a consumer that is not in `alive` is fenced. A read of an incarnation that was reaped may still have been in
-- flight: it re-created the consumer, which owns jobs again.
--
-- KEYS  the four lanes, alive
-- ARGV  name
-- Reply OK, how many were fenced
--       FENCED

--@include member.lua

local alive = KEYS[5]
if not is_member(alive, ARGV[1]) then return {'FENCED'} end
local fenced = 0
for i = 1, 4 do
  local consumers = redis.pcall('XINFO', 'CONSUMERS', KEYS[i], 'jobq')
  if consumers.err then -- a lane that is not there yet has none
    if not consumers.err:find('NOGROUP', 1, true) and not consumers.err:find('no such key', 1, true) then
      return consumers
    end
    consumers = {}
  end
  for _, consumer in ipairs(consumers) do
    fenced = fenced + redis.call('HSETNX', alive, consumer[2], 'F')
  end
end
return {'OK', fenced}
