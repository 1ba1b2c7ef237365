#!lua flags=allow-oom
-- purge_later: takes delayed jobs out of `later` and `held`.
--
-- KEYS  as audit.lua has them, later, held, then the unique key of each job that has one
-- ARGV  as audit.lua has them, then job ids, those with a unique key last
-- Reply OK, how many were taken out, entry id of the act's record (empty: none)

--@include may.lua
--@include stats.lua
--@include unique.lua
--@include audit.lua

local before = AUDIT_KEYS + 2
local later, held = KEYS[before - 1], KEYS[before]
must_may('ZREM', later, '')
must_may('HDEL', held, '')
redis.call('HLEN', held)
for i = before + 1, #KEYS do
  must_may('SET', KEYS[i], '')
  redis.call('GET', KEYS[i]) -- of a wrong type: fails now
end
local plain = #ARGV - (#KEYS - before)

local taken, written = audited(AUDIT_ARGS + 1, #ARGV, 1, function(i)
  if redis.call('ZREM', later, ARGV[i]) == 0 then return false end
  redis.call('HDEL', held, ARGV[i])
  if i > plain then unique_free(KEYS[before + i - plain], ARGV[i]) end
  return true
end)
return {'OK', taken, written}
