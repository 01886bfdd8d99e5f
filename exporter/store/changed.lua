-- Returns how far one shard has come (epoch, version, version of the last dropped tombstone), and its series that were
-- written and those that were buried since a version. Writes nothing: it answers on a replica, and without memory.
--
-- ARGV: the version, -1 for all.

local state = redis.call('HMGET', meta, 'epoch', 'version', 'pruned')
local since = '(' .. ARGV[1]
return {
  state,
  redis.call('ZRANGEBYSCORE', index, since, '+inf'),
  redis.call('ZRANGEBYSCORE', tombstones, since, '+inf'),
}
