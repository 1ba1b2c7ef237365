-- stats: counters of a minute; each lives three hours.
local STATS_SECONDS = 10800

local function count(stats, field, n)
  if n > 0 and redis.call('HINCRBY', stats, field, n) == n then redis.call('EXPIRE', stats, STATS_SECONDS) end
end
