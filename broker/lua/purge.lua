#!lua flags=allow-oom
-- purge: takes entries out of a lane, out of parked or dead. Of a lane only those that were never delivered: the others
-- belong to a worker, or are done.
--
-- KEYS  as audit.lua has them, the stream, then the unique key of each job that has one
-- ARGV  as audit.lua has them, number of entries, their ids (those with a unique key last), then the job id of each
--         unique key
-- Reply OK, how many were taken out, entry id of the act's record (empty: none)

--@include may.lua
--@include stats.lua
--@include unique.lua
--@include trim.lua
--@include audit.lua

local before = AUDIT_KEYS + 1
local stream = KEYS[before]
local first = AUDIT_ARGS + 2
local last = first - 1 + tonumber(ARGV[first - 1])
local plain = last - (#KEYS - before)
if redis.call('EXISTS', stream) == 0 then return {'OK', 0, record} end
must_may('XDEL', stream, '1-1')
for i = before + 1, #KEYS do
  must_may('SET', KEYS[i], '')
  redis.call('GET', KEYS[i]) -- of a wrong type: fails now
end
local group = lane_group(stream)
local delivered = group and group['last-delivered-id']

local taken, written = audited(first, last, 1, function(i)
  if delivered and id_not_after(ARGV[i], delivered) or redis.call('XDEL', stream, ARGV[i]) == 0 then return false end
  if i > plain then unique_free(KEYS[before + i - plain], ARGV[last + i - plain]) end
  return true
end)
return {'OK', taken, written}
