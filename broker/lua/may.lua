-- may: refuses, before the first write, what the caller's ACL would refuse after it.
local function must_may(...)
  if not redis.acl_check_cmd(...) then
    error({err = 'NOPERM this user has no permissions to run the ' .. (...) .. ' command on its key'})
  end
end
