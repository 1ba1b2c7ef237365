-- wake: puts a job into `later` and tells who waits for its time when it is the new earliest.

local function later_earliest(later)
  local first = redis.call('ZRANGE', later, 0, 0, 'WITHSCORES')
  return first[2] and tonumber(first[2]) or math.huge
end

-- `later` first: an id there without its `held` entry is found by move, the other way round it would be lost.
local function later_add(later, held, id, due, h, p)
  redis.call('ZADD', later, string.format('%.0f', due), id)
  redis.call('HSET', held, id, struct.pack('<I4', #h) .. h .. p)
end

local function wake(channel, due)
  redis.call('PUBLISH', channel, string.format('%.0f', due))
end
