#!lua flags=allow-oom
-- fail: jobs of one lane did not succeed; each goes where its caller says, if the entry is still pending (a zombie's
-- call would make a second copy).
--
-- KEYS  lane, recovered, later, held, dead, parked, alive, stats of the minute, then unique keys
-- ARGV  name, wake channel, then ten for each job:
--         entry id, job id, action (later, dead, parked, recovered), counter of the stats, delay in ms, reason,
--         error, h, p (the copy is made of these two), index into KEYS of its unique key or 0
-- Reply OK, then for each job MOVED, MERGED (its id waits in `later` already: no second copy) or STALE (not pending)
--       FENCED
--
-- An entry is acknowledged after its copy is written: a failing command leaves it pending instead of losing it.

--@include member.lua
--@include stats.lua
--@include unique.lua
--@include wake.lua
--@include trim.lua

local FIELDS = 10
local lane, recovered, later, held, dead, parked, alive, stats = unpack(KEYS, 1, 8)
local name, channel = ARGV[1], ARGV[2]
if not is_member(alive, name) then return {'FENCED'} end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local earliest, new_earliest

local function put_later(id, delay, h, p)
  if redis.call('HEXISTS', held, id) == 1 then return false end
  local due = now + delay
  earliest = earliest or later_earliest(later)
  later_add(later, held, id, due, h, p)
  if due < earliest then earliest, new_earliest = due, due end
  return true
end

-- False: merged.
local function put(at)
  local id, action, _, delay, reason, text, h, p, unique = unpack(ARGV, at + 1, at + 9)
  if action == 'later' then return put_later(id, tonumber(delay), h, p) end
  if action == 'dead' then
    redis.call('XADD', dead, '*', 'h', h, 'p', p, 'reason', reason, 'error', text, 'by', name)
    if unique ~= '0' then unique_free(KEYS[tonumber(unique)], id) end
  elseif action == 'parked' then
    redis.call('XADD', parked, '*', 'h', h, 'p', p)
  elseif action == 'recovered' then
    redis.call('XADD', recovered, '*', 'h', h, 'p', p)
  else
    error({err = 'ERR jobq: fail: unknown action'})
  end
  return true
end

local reply, done, counts = {'OK'}, {}, {}
for at = 3, #ARGV, FIELDS do
  local entry, word = ARGV[at], 'STALE'
  if #redis.call('XPENDING', lane, 'jobq', entry, entry, 1) == 1 then
    local moved = put(at)
    local field = moved and ARGV[at + 3] or 'merged'
    redis.call('XACK', lane, 'jobq', entry)
    word = moved and 'MOVED' or 'MERGED'
    done[#done + 1] = entry
    counts[field] = (counts[field] or 0) + 1
  end
  reply[#reply + 1] = word
end
if #done > 0 then
  if new_earliest then wake(channel, new_earliest) end
  for field, n in pairs(counts) do count(stats, field, n) end
  trim(lane, done, 1, #done)
end
return reply
