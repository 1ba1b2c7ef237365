-- takeover: moves what is pending of one consumer, of all lanes, to recovered; used by leave and reap. Needs header.

local TAKE = 100        -- entries a call
local TAKE_BYTES = 65536
local FIELDS_MAX = 1000 -- a stranger's entry with more fields is copied as one

-- A lane or group that is not there has nothing pending.
local function soft_call(...)
  local reply = redis.pcall(...)
  if type(reply) == 'table' and reply.err then
    if reply.err:find('NOGROUP', 1, true) or reply.err:find('requires the key to exist', 1, true) then return nil end
    error(reply)
  end
  return reply
end

-- patch(h, found) gives the new header. The copy is written before the entry is acknowledged: a failing command
-- then leaves it pending instead of losing it.
local function take_entry(lane, recovered, id, patch)
  local entry = redis.call('XRANGE', lane, id, id)[1]
  local bytes = 0
  if entry then
    local fields = entry[2]
    for _, field in ipairs(fields) do bytes = bytes + #field end
    if #fields == 4 and fields[1] == 'h' and fields[3] == 'p' then
      local found = header_walk(fields[2])
      if found then fields[2] = patch(header_set_time(fields[2], found, id:match('^%d+')), found) end
    elseif #fields > FIELDS_MAX then
      fields = {'p', table.concat(fields, ' ')}
    end
    redis.call('XADD', recovered, '*', unpack(fields))
  end
  redis.call('XACK', lane, 'jobq', id)
  redis.call('XDEL', lane, id)
  return bytes, entry and 1 or 0
end

-- lanes[1] is recovered. Gives how many were copied, whether some are left, and the lanes touched.
local function take_over(lanes, consumer, patch)
  local seen, bytes, copied, touched = 0, 0, 0, {}
  for _, lane in ipairs(lanes) do
    local pending = {}
    if seen < TAKE and bytes < TAKE_BYTES then
      pending = soft_call('XPENDING', lane, 'jobq', '-', '+', TAKE - seen, consumer) or {}
    end
    for _, p in ipairs(pending) do
      if seen > 0 and bytes >= TAKE_BYTES then break end
      local size, copies = take_entry(lane, lanes[1], p[1], patch)
      seen, bytes, copied = seen + 1, bytes + size, copied + copies
      touched[lane] = true
    end
  end
  for _, lane in ipairs(lanes) do
    if #(soft_call('XPENDING', lane, 'jobq', '-', '+', 1, consumer) or {}) > 0 then return copied, true, touched end
  end
  return copied, false, touched
end

-- Consumers go only when they own nothing, in the call that saw it.
local function forget(lanes, hashes, consumer)
  for _, lane in ipairs(lanes) do soft_call('XGROUP', 'DELCONSUMER', lane, 'jobq', consumer) end
  for _, hash in ipairs(hashes) do redis.call('HDEL', hash, consumer) end
end
