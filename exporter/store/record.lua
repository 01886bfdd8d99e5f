-- Store ratings of one shard: dedupe, fold, log, index. Returns a character a rating, in order:
-- n new, d duplicate, l refused by the series limit. The fold equals fold.py to the last bit.
--
-- ARGV: now and retention in seconds, epoch of a new shard, format, width of an hour, most tombstones,
-- most dead series to delete, length of a log; then, for each series: its encoded key, 1 where it
-- may begin, number of ratings, and for each rating: timestamp, arrival, score (packed as the newest
-- scores of a record are) with the digest of its id behind, and its entry for the log.

local HOUR, DAY, BUCKET, SCORE, NEWEST = 3600000000, 24, 32, 20, 100
local EDGES = {100000, 300000, 500000, 700000, 850000, 900000, 1000000}
local TOTALS = '<I4I8I8I8I8I8I8I8I8'

local now, retention = tonumber(ARGV[1]), tonumber(ARGV[2])
local most_tombstones, most_dead, log_length = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])

local stamp = redis.call('HMGET', meta, 'format', 'width', 'retention', 'epoch')
if (stamp[1] or ARGV[4]) ~= ARGV[4] or (stamp[2] or ARGV[5]) ~= ARGV[5] then
  return redis.error_reply('STAMP the store has another format')
end
retention = tonumber(stamp[3]) or retention
if not stamp[4] then
  redis.call('HSET', meta, 'epoch', ARGV[3], 'format', ARGV[4], 'width', ARGV[5], 'retention', text(retention))
end
local first_day = math.floor(math.floor((now - retention) / 3600) / DAY)
local periods = id_periods(now)

for _, series in ipairs(redis.call('ZRANGEBYSCORE', expiry, '-inf', text(now), 'LIMIT', 0, most_dead)) do
  bury(series)
end

-- Say of each rating whether its id is new, and remember those that are.
local function new_ids(series, first, count)
  local digests, seen, fresh, verdicts = {}, {}, {}, {}
  for i = 1, count do
    digests[i] = ARGV[first + 2 * i - 2]:sub(SCORE + 1)
  end
  for _, period in ipairs(periods) do
    for i, known in ipairs(redis.call('SMISMEMBER', ids_key(series, period), unpack(digests))) do
      if known == 1 then
        seen[digests[i]] = true
      end
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

-- Read of a record what every rating changes; its days are read when a rating needs them.
local function read(series)
  local key = record_key(series)
  local fields = redis.call('HMGET', key, 'newest', 'totals')
  local totals = fields[2] and {struct.unpack(TOTALS, fields[2])} or {tonumber(ARGV[4]), 0, 0, 0, 0, 0, 0, 0, 0}
  return {key = key, newest = fields[1] or '', totals = totals, days = {}, hours = {}}
end

-- Where an hour stands, or belongs, in the packed hours of its day.
local function place_of(packed, hour)
  for place = #packed - BUCKET + 1, 1, -BUCKET do
    local there = struct.unpack('<I4', packed, place)
    if there == hour then
      return place, true
    elseif there < hour then
      return place + BUCKET, false
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
    if math.floor(hour / DAY) < first_day then
      record.hours[hour] = nil
    end
  end
  return ''
end

local function field_of(day)
  return string.format('d%06d', day)
end

local function open_hour(record, hour)
  local day = math.floor(hour / DAY)
  if not record.days[day] then
    record.days[day] = redis.call('HGET', record.key, field_of(day)) or open_day(record)
  end
  local place, found = place_of(record.days[day], hour)
  local bucket
  if found then
    local _, n, sum, squares, low, high = struct.unpack('<I4I4I8I8I4I4', record.days[day], place)
    bucket = {n, sum, squares, low, high}
  else
    bucket = {0, 0, 0, 1000000, 0}
  end
  record.hours[hour] = bucket
  return bucket
end

local function fold_newest(newest, timestamp, entry)
  local place = #newest
  while place > 0 and struct.unpack('<I8', newest, place - SCORE + 1) > timestamp do
    place = place - SCORE
  end
  newest = newest:sub(1, place) .. entry:sub(1, SCORE) .. newest:sub(place + 1)
  return #newest > NEWEST * SCORE and newest:sub(SCORE + 1) or newest
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
  record.newest = fold_newest(record.newest, timestamp, entry)
  local edge = 1
  while EDGES[edge] < score do
    edge = edge + 1
  end
  record.totals[edge + 1] = record.totals[edge + 1] + 1
  record.totals[9] = record.totals[9] + score
end

-- Write what the fold touched; return the record's newest hour among that.
local function write(series, record)
  local key, last, touched = record_key(series), 0, {}
  for hour, bucket in pairs(record.hours) do
    local day = math.floor(hour / DAY)
    local packed = record.days[day]
    local place, found = place_of(packed, hour)
    record.days[day] = packed:sub(1, place - 1)
      .. struct.pack('<I4I4I8I8I4I4', hour, unpack(bucket))
      .. packed:sub(found and place + BUCKET or place)
    touched[day] = true
    last = math.max(last, hour)
  end
  for day in pairs(touched) do
    redis.call('HSET', key, string.format('d%06d', day), record.days[day])
  end
  redis.call('HSET', key, 'newest', record.newest, 'totals', struct.pack(TOTALS, unpack(record.totals)))
  return last
end

local function append(series, first, verdicts)
  local record = read(series)
  local key, entries = log_key(series), {}
  for i, verdict in ipairs(verdicts) do
    if verdict == 'n' then
      local at = first + 2 * i - 2
      fold(record, ARGV[at])
      if USE_LIST then entries[#entries + 1] = ARGV[at + 1] else
      redis.call('XADD', key, 'MAXLEN', '=', log_length, '*', 'e', ARGV[at + 1]) end
    end
  end
  if USE_LIST then
  redis.call('RPUSH', key, unpack(entries))
  redis.call('LTRIM', key, -log_length, -1)
  end
  return write(series, record)
end

local function store(series, may_begin, first, count)
  local death = tonumber(redis.call('ZSCORE', expiry, series) or '0')
  local live = death > now
  if not live and not may_begin then
    return string.rep('l', count)
  end
  local verdicts, fresh = new_ids(series, first, count)
  if fresh > 0 then
    if not live then
      redis.call('UNLINK', record_key(series), log_key(series))
      redis.call('ZREM', tombstones, series)
    end
    death = math.max(death, (append(series, first, verdicts) + 1) * 3600 + retention)
    redis.call('ZADD', expiry, text(death), series)
    redis.call('ZADD', index, version, series)
    local remaining = text(math.max(death - now, 0) + 3600)
    redis.call('EXPIRE', record_key(series), remaining)
    redis.call('EXPIRE', log_key(series), remaining)
    changed = true
  end
  return table.concat(verdicts)
end

local verdicts, at = {}, 9
while at <= #ARGV do
  local count = tonumber(ARGV[at + 2])
  verdicts[#verdicts + 1] = store(ARGV[at], ARGV[at + 1] == '1', at + 3, count)
  at = at + 3 + 2 * count
end
commit(most_tombstones)
return table.concat(verdicts)
