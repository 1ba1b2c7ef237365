-- trim: drops from the head of a lane what is done: everything before the lowest pending entry, or all that was
-- delivered when nothing is pending. A long job at the head stops that, so beyond KEPT done entries the ids of this
-- call are deleted one by one, and if that is not enough a few more from the head. An entry that was never delivered
-- is never touched.

local KEPT = 4096       -- done entries that may stay behind a long job
local WALK = 100        -- entries looked at in one call
local WALK_BYTES = 65536
local WALK_STEP = 8     -- read at once: large payloads must not add up before their size is known

-- a <= b for entry ids of any size: their parts do not fit a Lua number.
local function id_not_after(a, b)
  local a_ms, a_seq = a:match('^(%d+)-(%d+)$')
  local b_ms, b_seq = b:match('^(%d+)-(%d+)$')
  if #a_ms ~= #b_ms then return #a_ms < #b_ms end
  if a_ms ~= b_ms then return a_ms < b_ms end
  if #a_seq ~= #b_seq then return #a_seq < #b_seq end
  return a_seq <= b_seq
end

-- A decimal number of any size, plus one.
local function decimal_next(digits)
  local head, last, nines = digits:match('^(%d-)(%d?)(9*)$')
  if last == '' then head, last = '', '0' end
  return head .. tostring(tonumber(last) + 1) .. ('0'):rep(#nines)
end

local function id_next(id)
  local ms, seq = id:match('^(%d+)-(%d+)$')
  if seq == '18446744073709551615' then return decimal_next(ms) .. '-0' end
  return ms .. '-' .. decimal_next(seq)
end

-- XINFO GROUPS of our group as a table by name.
local function lane_group(lane)
  for _, flat in ipairs(redis.call('XINFO', 'GROUPS', lane)) do
    local group = {}
    for i = 1, #flat, 2 do group[flat[i]] = flat[i + 1] end
    if group['name'] == 'jobq' then return group end
  end
  return nil
end

local function lane_walk(lane, last)
  local left, bytes, step, from = WALK, 0, 1, '-'
  while left > 0 and bytes < WALK_BYTES do
    local entries = redis.call('XRANGE', lane, from, last, 'COUNT', math.min(step, left))
    if #entries == 0 then return end
    local to = entries[#entries][1]
    local pending = {}
    for _, p in ipairs(redis.call('XPENDING', lane, 'jobq', entries[1][1], to, #entries)) do
      pending[p[1]] = true
    end
    local done = {}
    for _, entry in ipairs(entries) do
      if not pending[entry[1]] then done[#done + 1] = entry[1] end
      for _, field in ipairs(entry[2]) do bytes = bytes + #field end
    end
    if #done > 0 then redis.call('XDEL', lane, unpack(done)) end
    left = left - #entries
    step = WALK_STEP
    from = '(' .. to
  end
end

-- ids[first] to ids[final]: entries of this call, none of them pending any more.
local function trim(lane, ids, first, final)
  local head = redis.call('XPENDING', lane, 'jobq', '-', '+', 1)[1]
  if not head then
    local group = lane_group(lane)
    redis.call('XTRIM', lane, 'MINID', '=', id_next(group['last-delivered-id']))
    return
  end
  redis.call('XTRIM', lane, 'MINID', '=', head[1])
  local length = redis.call('XLEN', lane)
  if length <= KEPT then return end
  local group = lane_group(lane)
  -- Redis gives no lag where it cannot know it, and may give one that cannot be: then all that is not pending counts.
  local over = length - group['pending'] - KEPT
  local lag = group['lag'] or 0
  if lag <= length - group['pending'] then over = over - lag end
  if over <= 0 then return end
  local last = group['last-delivered-id']
  local done = {}
  for i = first, final do
    if id_not_after(ids[i], last) then done[#done + 1] = ids[i] end
  end
  if #done > 0 then over = over - redis.call('XDEL', lane, unpack(done)) end
  if over > 0 then lane_walk(lane, last) end
end
