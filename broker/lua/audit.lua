-- audit: what an operator does is recorded by the script that does it, and counted. An act may take many calls: each
-- replaces its record by one of more jobs. So the record is true wherever the act stops, and there is one of it in each
-- partition. Needs may and stats. The first of KEYS and ARGV are these:
--
-- KEYS  audit, totals, stats of the minute
-- ARGV  entry id of the act's record or empty, id of the act, action (purge, discard, retry), by, user, command, note,
--         channel of events
local AUDIT_KEYS, AUDIT_ARGS = 3, 8
local AUDIT_KEPT = 10000
local AUDIT_COUNTERS = {purge = 'purged', discard = 'discarded', retry = 'revived'}

local audit, totals, stats = unpack(KEYS, 1, AUDIT_KEYS)
local record, act, action, by, user, command, note, events = unpack(ARGV, 1, AUDIT_ARGS)

-- Whatever could fail after the first write must fail before it.
must_may('XADD', audit, '*', 'act', act)
must_may('XDEL', audit, '1-1')
must_may('HINCRBY', totals, 'f', 1)
must_may('HINCRBY', stats, 'f', 1)
must_may('EXPIRE', stats, 1)
redis.call('XLEN', audit)
redis.call('HLEN', totals)
redis.call('HLEN', stats)

-- Jobs of this act before this call, and when it began.
local function audit_before(now)
  local found = record ~= '' and redis.call('XRANGE', audit, record, record)[1]
  local fields = {}
  for i = 1, found and #found[2] or 0, 2 do fields[found[2][i]] = found[2][i + 1] end
  if fields['act'] ~= act then return 0, now end
  return tonumber(fields['jobs']) or 0, fields['began'] or now
end

-- For people who look (docs/protocol.md): they may be absent, and the caller need not be allowed to tell them.
local function audit_tell(now, jobs)
  if not redis.acl_check_cmd('PUBLISH', events, '') then return end
  redis.call('PUBLISH', events, string.format(
    '{"at":%s,"event":"operator","act":"%s","action":"%s","jobs":%d,"by":%s,"user":%s,"command":%s,"note":%s}', now,
    act, action, jobs, cjson.encode(by), cjson.encode(user), cjson.encode(command), cjson.encode(note)))
end

-- Gives the entry id of the record.
local function audit_write(jobs)
  if jobs == 0 then return record end
  local time = redis.call('TIME')
  local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
  local before, began = audit_before(now)
  local written = redis.call('XADD', audit, 'MAXLEN', '~', AUDIT_KEPT, '*', 'act', act, 'action', action, 'began',
    began, 'jobs', string.format('%.0f', before + jobs), 'by', by, 'user', user, 'command', command, 'note', note)
  if record ~= '' then redis.call('XDEL', audit, record) end
  redis.call('HINCRBY', totals, AUDIT_COUNTERS[action], jobs)
  count(stats, AUDIT_COUNTERS[action], jobs)
  audit_tell(now, jobs)
  return written
end

-- Does the work, which gives true for each job that it changed, one by one. Should it fail half way, what it did is
-- recorded nevertheless.
local function audited(first, last, step, work)
  local done, ok, failure = 0, true, nil
  for i = first, last, step do
    local changed
    ok, changed = pcall(work, i)
    if not ok then
      failure = changed
      break
    end
    if changed then done = done + 1 end
  end
  local written = audit_write(done)
  if not ok then error(failure) end
  return done, written
end
