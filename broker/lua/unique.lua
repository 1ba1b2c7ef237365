-- unique: a key is freed by the terminal state of the job that holds it, by no other. For ten minutes it still names
-- that job, so that a repeat of the same enqueue is told DUPLICATE (a client's deadline is at most a minute).
local ENDED_MS = 600000

local function unique_free(key, job)
  if redis.call('GET', key) == job then redis.call('SET', key, 'ended:' .. job, 'PX', ENDED_MS) end
end
