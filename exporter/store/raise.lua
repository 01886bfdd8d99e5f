-- Raises the retention with which one shard is stamped, and every life that was reckoned by it.
--
-- ARGV: retention in seconds.

local old = tonumber(redis.call('HGET', meta, 'retention') or ARGV[1])
local more = tonumber(ARGV[1]) - old
if more < 0 then
  return
end
redis.call('HSET', meta, 'retention', ARGV[1])
for _, series in ipairs(more > 0 and redis.call('ZRANGE', expiry, 0, -1) or {}) do
  redis.call('ZINCRBY', expiry, text(more), series)
  for _, key in ipairs({record_key(series), log_key(series)}) do
    local remaining = redis.call('TTL', key)
    if remaining > 0 then
      redis.call('EXPIRE', key, text(remaining + more))
    end
  end
end
