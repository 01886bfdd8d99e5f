-- Deletes every series of one shard whose encoded key begins with a prefix, and forgets its ids.
-- Returns each deleted series followed by the fields of its record.
--
-- ARGV: now in seconds, most tombstones, prefix.

local periods, prefix, deleted = id_periods(tonumber(ARGV[1])), ARGV[3], {}

local function each(set, visit)
  for _, series in ipairs(redis.call('ZRANGE', set, 0, -1)) do
    if series:sub(1, #prefix) == prefix then
      visit(series)
    end
  end
end

local function forget_ids(series)
  for _, period in ipairs(periods) do
    redis.call('UNLINK', ids_key(series, period))
  end
end

each(tombstones, forget_ids)
each(index, function(series)
  deleted[#deleted + 1] = series
  deleted[#deleted + 1] = redis.call('HGETALL', record_key(series))
  forget_ids(series)
  bury(series)
end)
commit(tonumber(ARGV[2]))
return deleted
