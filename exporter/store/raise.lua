-- Raises the retention with which one shard is stamped, and every life that was reckoned by it.
--
-- ARGV: retention in seconds, and the one with which a new shard would be stamped.

local more = tonumber(ARGV[1]) - tonumber(redis.call('HGET', meta, 'retention') or ARGV[2])
if more <= 0 then
  return
end
redis.call('HSET', meta, 'retention', ARGV[1])
for _, series in ipairs(redis.call('ZRANGE', expiry, 0, -1)) do
  redis.call('ZINCRBY', expiry, text(more), series)
  for _, key in ipairs({record_key(series), log_key(series)}) do
    local remaining = redis.call('TTL', key)
    if remaining > 0 then
      redis.call('EXPIRE', key, text(remaining + more))
    end
  end
end
