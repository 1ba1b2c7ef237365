#!lua flags=allow-oom
-- leave: the caller drains: everything pending of it goes to recovered with releases + 1 (option 13), at most 100
-- entries or 64 KiB a call. The call that finds none left in any lane forgets the caller.
--
-- KEYS  the four lanes (recovered, high, normal, low), alive, types, info
-- ARGV  name
-- Reply OK, more (1: call again, 0: gone), entries copied
--       FENCED (also after the last call was repeated)

--@include member.lua
--@include header.lua
--@include takeover.lua

if not is_member(KEYS[5], ARGV[1]) then return {'FENCED'} end
local lanes = {KEYS[1], KEYS[2], KEYS[3], KEYS[4]}
local copied, more = take_over(lanes, ARGV[1], header_add_release)
if not more then forget(lanes, {KEYS[5], KEYS[6], KEYS[7]}, ARGV[1]) end
return {'OK', more and 1 or 0, copied}
