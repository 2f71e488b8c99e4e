-- The scripts of the spool, one function each: ARGV[1] names it. What all of
-- them touch is in KEYS: the streams, and how many bytes these hold.
local STREAMS = { KEYS[1], KEYS[2] } -- consent goes first, then everything else
local DEAD, BYTES, PROBE = KEYS[3], KEYS[4], KEYS[5]
local GROUP, CONSUMER = 'crmsync', 'ingress'

local function held()
  return redis.call('XLEN', STREAMS[1]) + redis.call('XLEN', STREAMS[2]) + redis.call('XLEN', DEAD)
end

local function bytes() return tonumber(redis.call('GET', BYTES) or '0') end

local function full(size, events, limit) return held() + 1 > tonumber(events) or bytes() + size > tonumber(limit) end

local function find(stream, id) return redis.call('XRANGE', stream, id, id)[1] end

local function forget(stream, id)
  redis.call('XACK', stream, GROUP, id)
  return redis.call('XDEL', stream, id)
end

local spool = {}

-- add: which stream, name of the field, value, limits. '' where there is no room.
function spool.add(which, field, value, events, limit)
  if full(#value, events, limit) then return '' end
  local id = redis.call('XADD', STREAMS[tonumber(which)], '*', field, value)
  redis.call('INCRBY', BYTES, #value)
  return id
end

-- remove gives the bytes back, once; an empty spool holds none, whatever was
-- counted.
function spool.remove(which, id)
  local stream = STREAMS[tonumber(which)] or DEAD
  local entry = find(stream, id)
  if not entry then return 0 end
  forget(stream, id)
  if redis.call('DECRBY', BYTES, #entry[2][2]) < 0 or held() == 0 then redis.call('DEL', BYTES) end
  return 1
end

local function claim(stream, idle, n)
  return redis.call('XAUTOCLAIM', stream, GROUP, CONSUMER, idle, '0', 'COUNT', n)[2]
end

local function fresh(stream, n)
  local read = redis.call('XREADGROUP', 'GROUP', GROUP, CONSUMER, 'COUNT', n, 'STREAMS', stream, '>')
  return read and read[1] and read[1][2] or {}
end

-- grouped reports whether there is anything to read, and sees to the group: a
-- Redis that came back empty, or from an old file, has lost it.
local function grouped(stream)
  if redis.call('XLEN', stream) == 0 then return false end
  for _, group in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
    if group[2] == GROUP then return true end
  end
  redis.call('XGROUP', 'CREATE', stream, GROUP, '0')
  return true
end

-- take hands up to n entries to the caller, the oldest first. Those that somebody
-- took and did not remove within idle milliseconds come first, but never all of
-- them: what nobody can use must not keep others from their turn.
function spool.take(n, idle)
  n = tonumber(n)
  local taken = {}
  for which, stream in ipairs(STREAMS) do
    local function add(entries)
      for _, entry in ipairs(entries) do
        if entry then taken[#taken + 1] = { tostring(which), entry[1], entry[2] } end
      end
    end
    if #taken < n and grouped(stream) then
      add(claim(stream, idle, math.ceil((n - #taken) / 2)))
      if #taken < n then add(fresh(stream, n - #taken)) end
    end
  end
  return taken
end

-- bury moves an entry to the dead letters; the bytes stay.
function spool.bury(which, id, why)
  local stream = STREAMS[tonumber(which)]
  local entry = find(stream, id)
  if not entry then return 0 end
  redis.call('XADD', DEAD, '*', entry[2][1], entry[2][2], 'stream', which, 'why', why)
  forget(stream, id)
  return 1
end

-- revive moves a dead letter back, to the end of its stream.
function spool.revive(id)
  local entry = find(DEAD, id)
  if not entry then return 0 end
  redis.call('XADD', STREAMS[tonumber(entry[2][4])], '*', entry[2][1], entry[2][2])
  redis.call('XDEL', DEAD, id)
  return 1
end

-- state: entries that wait, dead letters, bytes, the age of the oldest in ms.
function spool.state()
  local clock, oldest = redis.call('TIME'), 0
  local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
  for _, stream in ipairs(STREAMS) do
    local first = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)[1]
    if first then oldest = math.max(oldest, now - tonumber(string.match(first[1], '^%d+'))) end
  end
  local dead = redis.call('XLEN', DEAD)
  return { held() - dead, dead, bytes(), oldest }
end

-- check writes something, since a Redis that is full or a replica still reads.
function spool.check(events, limit)
  redis.call('SET', PROBE, '1', 'PX', 1000)
  return full(0, events, limit) and 0 or 1
end

return spool[ARGV[1]](unpack(ARGV, 2))
