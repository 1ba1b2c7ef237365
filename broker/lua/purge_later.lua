#!lua flags=allow-oom
-- purge_later: takes delayed jobs out of `later` and `held`.
--
-- KEYS  later, held, then the unique key of each job that has one
-- ARGV  job ids, those with a unique key last
-- Reply OK, how many were taken out

--@include may.lua
--@include unique.lua

local later, held = KEYS[1], KEYS[2]
must_may('HDEL', held, ARGV[1])
for i = 3, #KEYS do must_may('SET', KEYS[i], '') end
local plain = #ARGV - (#KEYS - 2)
local taken = 0
for i = 1, #ARGV do
  if redis.call('ZREM', later, ARGV[i]) == 1 then
    redis.call('HDEL', held, ARGV[i])
    taken = taken + 1
    if i > plain then unique_free(KEYS[2 + i - plain], ARGV[i]) end
  end
end
return {'OK', taken}
