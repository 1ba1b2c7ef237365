-- member: whether an incarnation may act on this partition: it is registered and nobody fenced it.
local function is_member(alive, name)
  local counter = redis.call('HGET', alive, name)
  return counter and counter ~= 'F'
end
