-- Stores ratings of one shard: dedupe, fold, log, index. Returns a character a rating, in order:
-- n new, d duplicate, l refused by the series limit. The fold equals fold.py to the last bit.
--
-- ARGV: now and retention in seconds, epoch of a new shard, format, seconds of a bucket, most tombstones,
-- most dead series to delete, length of a log; then, for each series: its encoded key, 1 where it
-- may begin, number of ratings, and for each rating: timestamp, arrival and score, packed as the newest
-- scores of a record are, with the 16-byte digest of its id behind; and its entry for the log.
--
-- Long strings are what costs time here: a record's days are read only as ratings need them.

local HOUR, DAY, BUCKET, SCORE, NEWEST = 3600000000, 24, 32, 20, 100
local EDGES = {100000, 300000, 500000, 700000, 850000, 900000, 1000000}
local BUCKET_FORMAT, TOTALS_FORMAT = '<I4I4I8I8I4I4', '<I4I8I8I8I8I8I8I8I8'
local FIRST_SERIES = 9

local now, format, width = tonumber(ARGV[1]), ARGV[4], ARGV[5]
local most_tombstones, most_dead, log_length = tonumber(ARGV[6]), ARGV[7], tonumber(ARGV[8])

local stamp = redis.call('HMGET', meta, 'epoch', 'format', 'width', 'retention')
if stamp[1] and (stamp[2] ~= format or stamp[3] ~= width) then
  return redis.error_reply('its records have format ' .. stamp[2] .. ' with buckets of ' .. stamp[3] .. ' s')
end
local retention = tonumber(stamp[4] or ARGV[2])
if not stamp[1] then
  redis.call('HSET', meta, 'epoch', ARGV[3], 'format', format, 'width', width, 'retention', text(retention))
end
local first_day = math.floor((now - retention) / 3600 / DAY)

for _, series in ipairs(redis.call('ZRANGEBYSCORE', expiry, '-inf', text(now), 'LIMIT', 0, most_dead)) do
  bury(series)
end

local function day_of(hour)
  return math.floor(hour / DAY)
end

-- Fields sort as days do.
local function field_of(day)
  return string.format('d%06d', day)
end

-- Say of each rating whether its id is new, and remember those that are.
local function new_ids(series, first, count)
  local digests, seen, fresh, verdicts = {}, {}, {}, {}
  for i = 1, count do
    digests[i] = ARGV[first + 2 * i - 2]:sub(SCORE + 1)
  end
  local periods = id_periods(now)
  for _, period in ipairs(periods) do
    for i, known in ipairs(redis.call('SMISMEMBER', ids_key(series, period), unpack(digests))) do
      seen[digests[i]] = seen[digests[i]] or known == 1
    end
  end
  for i, digest in ipairs(digests) do
    verdicts[i] = seen[digest] and 'd' or 'n'
    if not seen[digest] then
      seen[digest] = true
      fresh[#fresh + 1] = digest
    end
  end
  if #fresh > 0 then
    local key = ids_key(series, periods[1])
    redis.call('SADD', key, unpack(fresh))
    redis.call('EXPIRE', key, text((periods[1] + 3) * ID_PERIOD - now + 3600))
  end
  return verdicts, #fresh
end

-- Read of a record what every rating changes.
local function read(key)
  local fields = redis.call('HMGET', key, 'newest', 'totals')
  local totals = fields[2] and {struct.unpack(TOTALS_FORMAT, fields[2])} or {tonumber(format), 0, 0, 0, 0, 0, 0, 0, 0}
  return {key = key, newest = fields[1] or '', added = {}, totals = totals, days = {}, hours = {}}
end

-- Where an hour stands, or belongs, in the packed hours of its day.
local function place_of(packed, hour)
  for place = #packed - BUCKET + 1, 1, -BUCKET do
    local there = struct.unpack('<I4', packed, place)
    if there <= hour then
      return there == hour and place or place + BUCKET, there == hour
    end
  end
  return 1, false
end

-- A rating opens a day that the record does not have: days whose last hour is dead leave it.
local function open_day(record)
  for _, field in ipairs(redis.call('HKEYS', record.key)) do
    local day = tonumber(field:sub(2))
    if day and day < first_day then
      redis.call('HDEL', record.key, field)
    end
  end
  for day in pairs(record.days) do
    if day < first_day then
      record.days[day] = nil
    end
  end
  for hour in pairs(record.hours) do
    if day_of(hour) < first_day then
      record.hours[hour] = nil
    end
  end
  return ''
end

local function open_hour(record, hour)
  local day = day_of(hour)
  record.days[day] = record.days[day] or redis.call('HGET', record.key, field_of(day)) or open_day(record)
  local place, found = place_of(record.days[day], hour)
  local bucket = {0, 0, 0, 1000000, 0}
  if found then
    local _, samples, sum, squares, low, high = struct.unpack(BUCKET_FORMAT, record.days[day], place)
    bucket = {samples, sum, squares, low, high}
  end
  record.hours[hour] = bucket
  return bucket
end

local function fold(record, entry)
  local timestamp, _, score = struct.unpack('<I8I8I4', entry)
  local hour = (timestamp - math.fmod(timestamp, HOUR)) / HOUR
  local bucket = record.hours[hour] or open_hour(record, hour)
  bucket[1] = bucket[1] + 1
  bucket[2] = bucket[2] + score
  bucket[3] = bucket[3] + math.floor((score * score + 500000) / 1000000)
  bucket[4] = math.min(bucket[4], score)
  bucket[5] = math.max(bucket[5], score)
  record.added[#record.added + 1] = {timestamp = timestamp, place = #record.added, score = entry:sub(1, SCORE)}
  local edge = 1
  while EDGES[edge] < score do
    edge = edge + 1
  end
  record.totals[edge + 1] = record.totals[edge + 1] + 1
  record.totals[#EDGES + 2] = record.totals[#EDGES + 2] + score
end

-- By timestamp, ties by arrival.
local function later(one, other)
  if one.timestamp == other.timestamp then
    return one.place > other.place
  end
  return one.timestamp > other.timestamp
end

-- Merge what was added into the newest scores, from the newest backwards, in as few strings as may be.
local function merge_newest(newest, added)
  table.sort(added, later)
  local parts, stop = {}, #newest
  for i = 1, math.min(#added, NEWEST) do
    local place = stop
    while place > 0 and struct.unpack('<I8', newest, place - SCORE + 1) > added[i].timestamp do
      place = place - SCORE
    end
    table.insert(parts, 1, added[i].score .. newest:sub(place + 1, stop))
    stop = place
  end
  local over = math.max(#newest + #added * SCORE - NEWEST * SCORE, 0)
  table.insert(parts, 1, newest:sub(over + 1, stop))
  return table.concat(parts):sub(-NEWEST * SCORE)
end

-- Write what the fold touched, and return the newest hour among that.
local function write(record)
  local newest_hour, touched = 0, {}
  for hour, bucket in pairs(record.hours) do
    local packed = record.days[day_of(hour)]
    local place, found = place_of(packed, hour)
    local rest = packed:sub(found and place + BUCKET or place)
    record.days[day_of(hour)] = packed:sub(1, place - 1) .. struct.pack(BUCKET_FORMAT, hour, unpack(bucket)) .. rest
    touched[day_of(hour)] = true
    newest_hour = math.max(newest_hour, hour)
  end
  for day in pairs(touched) do
    redis.call('HSET', record.key, field_of(day), record.days[day])
  end
  local newest, totals = merge_newest(record.newest, record.added), struct.pack(TOTALS_FORMAT, unpack(record.totals))
  redis.call('HSET', record.key, 'newest', newest, 'totals', totals)
  return newest_hour
end

-- Fold and log the ratings that are new, and return the record's newest hour among theirs.
local function append(series, first, verdicts)
  local record, entries = read(record_key(series)), {}
  for i, verdict in ipairs(verdicts) do
    if verdict == 'n' then
      fold(record, ARGV[first + 2 * i - 2])
      entries[#entries + 1] = ARGV[first + 2 * i - 1]
    end
  end
  redis.call('RPUSH', log_key(series), unpack(entries))
  redis.call('LTRIM', log_key(series), -log_length, -1)
  return write(record)
end

-- A series lives until `death`; its storage disappears an hour later, whoever writes.
local function live_until(series, death)
  local remaining = text(math.max(death - now, 0) + 3600)
  redis.call('ZADD', expiry, text(death), series)
  redis.call('EXPIRE', record_key(series), remaining)
  redis.call('EXPIRE', log_key(series), remaining)
end

local function store(series, may_begin, first, count)
  local old_death = tonumber(redis.call('ZSCORE', expiry, series) or '0')
  local live = old_death > now
  if not live and not may_begin then
    return string.rep('l', count)
  end
  local verdicts, fresh = new_ids(series, first, count)
  if fresh > 0 then
    if not live then
      redis.call('UNLINK', record_key(series), log_key(series))
      redis.call('ZREM', tombstones, series)
    end
    local death = (append(series, first, verdicts) + 1) * 3600 + retention
    if not live or death > old_death then
      live_until(series, death)
    end
    redis.call('ZADD', index, version, series)
    changed = true
  end
  return table.concat(verdicts)
end

local verdicts, at = {}, FIRST_SERIES
while at <= #ARGV do
  local count = tonumber(ARGV[at + 2])
  verdicts[#verdicts + 1] = store(ARGV[at], ARGV[at + 1] == '1', at + 3, count)
  at = at + 3 + 2 * count
end
commit(most_tombstones)
if not changed then
  -- Write all the same: WAIT waits for what its own connection wrote, and these may have come over another.
  redis.call('HSET', meta, 'format', format)
end
return table.concat(verdicts)
