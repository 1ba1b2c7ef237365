#!lua flags=allow-oom
-- purge: takes entries out of a lane, out of parked or dead. Of a lane only those that were never delivered: the others
-- belong to a worker, or are done.
--
-- KEYS  the stream, then the unique key of each job that has one
-- ARGV  number of entries, their ids (those with a unique key last), then the job id of each unique key
-- Reply OK, how many were taken out

--@include may.lua
--@include unique.lua
--@include trim.lua

local stream = KEYS[1]
local last = 1 + tonumber(ARGV[1])
local plain = last - (#KEYS - 1)
if redis.call('EXISTS', stream) == 0 then return {'OK', 0} end
for i = 2, #KEYS do must_may('SET', KEYS[i], '') end
local group = lane_group(stream)
local delivered = group and group['last-delivered-id']

local taken = 0
for i = 2, last do
  if not (delivered and id_not_after(ARGV[i], delivered)) and redis.call('XDEL', stream, ARGV[i]) == 1 then
    taken = taken + 1
    if i > plain then unique_free(KEYS[1 + i - plain], ARGV[last + i - plain]) end
  end
end
return {'OK', taken}
