-- header: reads and patches the packed header `h` of an entry (broker/codec.h has the layout; broker/codec.c is its
-- twin in C). A header of another version, or a broken one, is never touched: it is copied as it is.

-- Length that an option of this tag must have, or may have at most; other tags are free.
local OPTION_LENGTH = {[1] = 2, [2] = 4, [3] = 4, [4] = 8, [8] = 0, [10] = 8, [11] = 8, [13] = 2}
local OPTION_LIMIT = {[5] = 255, [6] = 255, [12] = 1024}
local OPTION_TIME = {[4] = true, [10] = true}
local HEADER_MAX = 8192

-- Position of each option by its tag; nil when h is not a sound header of version 1.
local function header_walk(h)
  local size = #h
  if size < 23 or size > HEADER_MAX then return nil end
  local version, flags = h:byte(1, 2)
  if version ~= 1 or flags % 4 == 3 then return nil end
  local at = 24 + h:byte(23)
  local type_length = at - 24
  if type_length < 1 or type_length > 64 or at > size + 1 then return nil end
  if not h:sub(24, at - 1):find('^[a-z0-9_.:%-]+$') then return nil end
  local found = {}
  while at <= size do
    local tag, low, high = h:byte(at, at + 2)
    if not high or found[tag] then return nil end
    local length = low + 256 * high
    if at + 2 + length > size then return nil end
    if (OPTION_LENGTH[tag] or length) ~= length or length > (OPTION_LIMIT[tag] or length) then return nil end
    if OPTION_TIME[tag] and h:byte(at + 10) > 127 then return nil end
    found[tag] = at
    at = at + 3 + length
  end
  return found
end

-- Sets an option of fixed length (value: its bytes); found as header_walk() gave it, which stays true.
local function header_set(h, found, tag, value)
  local option = string.char(tag, #value, 0) .. value
  local at = found[tag]
  if at then return h:sub(1, at - 1) .. option .. h:sub(at + #option) end
  if #h + #option > HEADER_MAX then return h end
  found[tag] = #h + 1
  return h .. option
end

-- Option 10, enqueued at, unless it is there. ms may be text, and beyond reason: an entry id is whatever XADD was told.
local function header_set_time(h, found, ms)
  if found[10] then return h end
  return header_set(h, found, 10, struct.pack('<I8', math.min(tonumber(ms), 2 ^ 53)))
end

-- Byte 5, losses, one more; beyond the budget flagged exhausted (bit 2 of byte 1).
local function header_add_loss(h, budget)
  local losses = math.min(h:byte(6) + 1, 255)
  local flags = h:byte(2)
  if losses > budget then flags = bit.bor(flags, 4) end
  return h:sub(1, 1) .. string.char(flags) .. h:sub(3, 5) .. string.char(losses) .. h:sub(7)
end

-- Option 13, releases, one more.
local function header_add_release(h, found)
  local releases = 0
  if found[13] then releases = struct.unpack('<I2', h, found[13] + 3) end
  return header_set(h, found, 13, struct.pack('<I2', math.min(releases + 1, 65535)))
end
