-- What the scripts of a shard share, put in front of each: the names of its keys, its version, and how a
-- series is buried.
-- KEYS[1] is the shard's meta key; every other key of the shard begins alike, so one Cluster slot holds all.
-- KEYS[2] never exists: while a Cluster moves the slot, it refuses a call of two keys of which it lacks one, so
-- no script ever meets a shard of which a part is elsewhere.

local meta = KEYS[1]
local shard = meta:sub(1, -5)
local index, expiry, tombstones = shard .. 'index', shard .. 'expiry', shard .. 'tombstones'
local ID_PERIOD = 12 * 3600

-- A Lua number is a double; '..' and tostring keep only 14 of its digits.
local function text(number)
  return string.format('%.0f', number)
end

local function record_key(series)
  return shard .. series .. ':record'
end

local function log_key(series)
  return shard .. series .. ':log'
end

local function ids_key(series, period)
  return shard .. series .. ':ids:' .. text(period)
end

-- The periods in which an id is looked for, the current one first.
local function id_periods(now)
  local period = math.floor(now / ID_PERIOD)
  return {period, period - 1, period - 2, period + 1}
end

-- Whatever a call changes, it changes under the next version; written by commit.
local version = text(tonumber(redis.call('HGET', meta, 'version') or '0') + 1)
local changed = false

-- Delete a series but for its ids, which outlive it, and leave a tombstone for readers of changes.
local function bury(series)
  redis.call('UNLINK', record_key(series), log_key(series))
  redis.call('ZREM', index, series)
  redis.call('ZREM', expiry, series)
  redis.call('ZADD', tombstones, version, series)
  changed = true
end

-- Write the version, and drop the oldest tombstones beyond `most`: a reader who has not seen those reads anew.
local function commit(most)
  if not changed then
    return
  end
  redis.call('HSET', meta, 'version', version)
  local over = redis.call('ZCARD', tombstones) - most
  if over > 0 then
    local dropped = redis.call('ZPOPMIN', tombstones, over)
    redis.call('HSET', meta, 'pruned', dropped[#dropped])
  end
end
