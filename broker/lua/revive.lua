#!lua flags=allow-oom
-- revive: dead letters go back to their own lanes. The copy is written and the letter deleted in one step: of two
-- operators one finds it gone. It takes no more memory than it frees.
--
-- KEYS  as audit.lua has them, dead, held, lanes normal, high, low, then unique keys
-- ARGV  as audit.lua has them, then six for each job: entry id, job id, lane (0, 1, 2, as KEYS has them), h, p (empty:
--         as it was), index into KEYS of its unique key or 0
-- Reply OK, entry id of the act's record (empty: none), then for each job REVIVED, GONE, or HELD and the id of the
--         living job that stands in its way (the holder of its unique key; itself, when a copy of it is delayed)

--@include may.lua
--@include stats.lua
--@include audit.lua

local FIELDS = 6
local dead, held = KEYS[AUDIT_KEYS + 1], KEYS[AUDIT_KEYS + 2]
must_may('XDEL', dead, '1-1')
for i = AUDIT_KEYS + 6, #KEYS do must_may('SET', KEYS[i], '') end

local function payload_of(entry)
  for i = 1, #entry, 2 do
    if entry[i] == 'p' then return entry[i + 1] end
  end
  return ''
end

local function revive(at)
  local entry, id, lane, h, p, unique = unpack(ARGV, at, at + FIELDS - 1)
  local found = redis.call('XRANGE', dead, entry, entry)[1]
  if not found then return 'GONE' end
  if redis.call('HEXISTS', held, id) == 1 then return 'HELD' .. id end
  local key = KEYS[tonumber(unique)]
  local holder = key and redis.call('GET', key)
  if holder and holder:sub(1, 6) ~= 'ended:' then return 'HELD' .. holder end
  redis.call('XADD', KEYS[AUDIT_KEYS + 3 + tonumber(lane)], '*', 'h', h, 'p', p ~= '' and p or payload_of(found[2]))
  -- As enqueue: without expiry while the job lives.
  if key then redis.call('SET', key, id) end
  redis.call('XDEL', dead, entry)
  return 'REVIVED'
end

local reply = {'OK', ''}
local _, written = audited(AUDIT_ARGS + 1, #ARGV, FIELDS, function(at)
  reply[#reply + 1] = revive(at)
  return reply[#reply] == 'REVIVED'
end)
reply[2] = written
return reply
