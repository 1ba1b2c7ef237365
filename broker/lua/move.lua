#!lua flags=allow-oom
-- move: due jobs of `later` go to their own lane, by Redis's clock, at most 100 or 64 KiB a call.
--
-- KEYS  later, held, dead, alive, stats of the minute, lanes normal, high, low
-- ARGV  name
-- Reply OK, moved, corrupt, next due time in Unix ms or -1, Redis's Unix ms
--       FENCED
--
-- Corrupt: an id without its entry in `held` (removed), or an entry that does not parse (to dead, its bytes kept).
-- A header of another version goes to normal unchanged: who claims it parks it.

--@include member.lua
--@include stats.lua
--@include wake.lua

local TAKE, TAKE_BYTES = 100, 65536
local TIME_MAX = 9007199254740992 -- 2^53: beyond it a score is no whole number
local later, held, dead, alive, stats = unpack(KEYS, 1, 5)
if not is_member(alive, ARGV[1]) then return {'FENCED'} end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function lane_of(h)
  local version, flags = h:byte(1, 2)
  if version ~= 1 or not flags then return KEYS[6] end
  return KEYS[6 + flags % 4] or KEYS[6]
end

-- h and p of a value of `held`, or nil.
local function split(value)
  if #value < 4 then return nil end
  local length = struct.unpack('<I4', value)
  if 4 + length > #value then return nil end
  return value:sub(5, 4 + length), value:sub(5 + length)
end

-- The job is written to its new place before it leaves `later`, one by one: a failing command repeats nothing.
local moved, corrupt, bytes = 0, 0, 0
for _, id in ipairs(redis.call('ZRANGE', later, '-inf', now, 'BYSCORE', 'LIMIT', 0, TAKE)) do
  if bytes >= TAKE_BYTES then break end
  local value = redis.call('HGET', held, id)
  local h, p
  if value then
    bytes = bytes + #value
    h, p = split(value)
    if h then
      redis.call('XADD', lane_of(h), '*', 'h', h, 'p', p)
    else
      redis.call('XADD', dead, '*', 'h', '', 'p', value, 'reason', 'corrupt', 'error',
        'the held entry of ' .. id .. ' does not parse', 'by', ARGV[1])
    end
  end
  redis.call('ZREM', later, id)
  redis.call('HDEL', held, id)
  if h then moved = moved + 1 else corrupt = corrupt + 1 end
end
count(stats, 'moved', moved)
count(stats, 'corrupt', corrupt)

local next_due = later_earliest(later)
if next_due == math.huge and redis.call('ZCARD', later) == 0 then
  next_due = -1
else
  next_due = math.max(0, math.min(math.ceil(next_due), TIME_MAX))
end
return {'OK', moved, corrupt, next_due, now}
