#!lua flags=allow-oom
-- depth: how much waits in a partition, for those who look.
--
-- KEYS  the four lanes (recovered, high, normal, low), later, dead, parked
-- Reply OK, for each lane: entries not delivered, Unix ms of the oldest of them or -1; then delayed, dead, parked

local function field(reply, name)
  for i = 1, #reply, 2 do
    if reply[i] == name then return reply[i + 1] end
  end
end

-- The group's own count where Redis knows it, but never more than all less those that somebody holds: a Redis that was
-- started again from its AOF, or was a replica, counts much of what was delivered before as not delivered.
local function waiting(lane)
  local groups = redis.pcall('XINFO', 'GROUPS', lane)
  if groups.err or not groups[1] then return redis.call('XLEN', lane), '-' end
  local most = math.max(redis.call('XLEN', lane) - field(groups[1], 'pending'), 0)
  return math.min(field(groups[1], 'lag') or most, most), '(' .. field(groups[1], 'last-delivered-id')
end

local reply = {'OK'}
for i = 1, 4 do
  local count, from = waiting(KEYS[i])
  local first = redis.call('XRANGE', KEYS[i], from, '+', 'COUNT', 1)[1]
  reply[#reply + 1] = first and math.max(count, 1) or 0
  reply[#reply + 1] = first and tonumber(first[1]:match('^%d+')) or -1
end
reply[#reply + 1] = redis.call('ZCARD', KEYS[5])
reply[#reply + 1] = redis.call('XLEN', KEYS[6])
reply[#reply + 1] = redis.call('XLEN', KEYS[7])
return reply
