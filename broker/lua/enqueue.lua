#!lua
-- enqueue: a job that uses a feature: a unique key, a delay, a due time. Refused when Redis is out of memory.
--
-- KEYS  the job's lane, later, held, and its unique key if it has one
-- ARGV  job id, h, p, when (now, in, at), ms (delay or Unix time), wake channel, has unique key (0, 1)
-- Reply OK
--       DUPLICATE, id of the job that is stored: this one, or the holder of the unique key
--
-- A due time is judged by Redis's clock; one that has passed goes straight to the lane.

--@include header.lua
--@include wake.lua

local lane, later, held, unique = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local id, h, p, when, ms = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local DUE_MAX = 9007199254740992 -- 2^53

if ARGV[7] == '1' then
  local holder = redis.call('GET', unique)
  if holder == 'ended:' .. id then return {'DUPLICATE', id} end
  if holder and holder:sub(1, 6) ~= 'ended:' then return {'DUPLICATE', holder} end
end
if redis.call('HEXISTS', held, id) == 1 then return {'DUPLICATE', id} end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local due = now
if when == 'in' then due = now + ms elseif when == 'at' then due = ms end

local earliest = math.huge
if due <= now then
  redis.call('XADD', lane, '*', 'h', h, 'p', p)
else
  local found = header_walk(h)
  if found then h = header_set_time(h, found, now) end
  earliest = later_earliest(later)
  due = math.min(due, DUE_MAX)
  later_add(later, held, id, due, h, p)
end
-- Without expiry: while its job lives, nothing but ack and fail frees the key.
if ARGV[7] == '1' then redis.call('SET', unique, id) end
-- Last: a user who may not publish has stored the whole job all the same.
if due > now and due < earliest then wake(ARGV[6], due) end
return {'OK'}
