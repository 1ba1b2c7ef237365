#!lua flags=allow-oom
-- drop: the oldest dead letters go where there are more than may be kept, or where they were kept for long enough. A
-- bounded number a call. A dead letter holds no unique key, so nothing else goes with it.
--
-- KEYS  dead, alive, totals, stats of the minute
-- ARGV  name, how many are kept (0: any number), for how many ms (0: for ever), from what age the oldest one is told
--         of (0: never), most to drop in this call (0: only look)
-- Reply OK, how many were dropped, how many there are still, 1 if there are more to drop (else 0), age of the oldest one
--         before this call or -1 (not that old yet)
--       FENCED

--@include may.lua
--@include member.lua
--@include stats.lua

local WALK_BYTES = 65536
local WALK_STEP = 8 -- read at once: large payloads must not add up before their size is known

local dead, alive, totals, stats = unpack(KEYS)
local keep, retention, tell, most = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
if not is_member(alive, ARGV[1]) then return {'FENCED'} end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- The first entries that died more than `age` ms ago, by the entry's own time.
local function older_than(age, limit)
  if age == 0 or now <= age then return {} end
  return redis.call('XRANGE', dead, '-', string.format('%.0f', now - age - 1), 'COUNT', limit)
end

local function may_drop()
  must_may('XTRIM', dead, 'MAXLEN', '1')
  must_may('XDEL', dead, '1-1')
  must_may('HINCRBY', totals, 'f', 1)
  must_may('HINCRBY', stats, 'f', 1)
  must_may('EXPIRE', stats, 1)
  redis.call('HGET', totals, 'dropped') -- of a wrong type: fails now
  redis.call('HGET', stats, 'dropped')
end

local function drop_many(excess)
  if excess <= 0 then return 0 end
  return redis.call('XTRIM', dead, 'MAXLEN', '=', string.format('%.0f', redis.call('XLEN', dead) - excess))
end

local function drop_old(limit)
  local dropped, bytes, step = 0, 0, 1
  while dropped < limit and bytes < WALK_BYTES do
    local ids = {}
    for i, entry in ipairs(older_than(retention, math.min(step, limit - dropped))) do
      ids[i] = entry[1]
      for _, field in ipairs(entry[2]) do bytes = bytes + #field end
    end
    if #ids == 0 then break end
    dropped = dropped + redis.call('XDEL', dead, unpack(ids))
    step = WALK_STEP
  end
  return dropped
end

local length = redis.call('XLEN', dead)
local oldest = older_than(tell, 1)[1]
oldest = oldest and now - tonumber(oldest[1]:match('^%d+')) or -1

local function excess() return keep > 0 and redis.call('XLEN', dead) - keep or 0 end

local more = excess() > 0 or #older_than(retention, 1) > 0
local dropped = 0
if more and most > 0 then
  may_drop()
  dropped = drop_many(math.min(excess(), most))
  dropped = dropped + drop_old(most - dropped)
  redis.call('HINCRBY', totals, 'dropped', dropped)
  count(stats, 'dropped', dropped)
  more = excess() > 0 or #older_than(retention, 1) > 0
end
return {'OK', dropped, length - dropped, more and 1 or 0, oldest}
