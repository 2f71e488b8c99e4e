-- One step on the buckets of a CRM account, all or nothing.
--
-- KEYS: a sorted set of the processes, then one hash for each bucket.
-- ARGV: the caller's name, how long it is remembered in ms, then FIELDS for each
-- bucket. All times are in ms, by the clock of this server.
--
-- A bucket's hash counts by slices of time: o17 is what we spent in slice 17,
-- f17 what others did, h until when nothing may be sent.

local FIELDS = {'cost', 'owed', 'cap', 'amount', 'width', 'span', 'before', 'from', 'to', 'remaining', 'reset', 'hold', 'late', 'spent', 'ago'}

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local function name(kind, slice) return kind .. string.format('%.0f', slice) end

-- place finds the slices that count: of a rolling window the last ones, else
-- the day, which is named by when it began.
local function place(b)
  if b.width > 0 then
    b.current = math.floor(now / b.width)
    b.oldest = b.current - b.span + 1
    return
  end
  b.current, b.ends = b.from, b.to
  if now < b.from then
    b.current, b.ends = b.before, b.from
  elseif now >= b.to then
    b.current, b.ends = b.to, b.to + b.to - b.from
  end
  b.oldest = b.current
end

-- ends answers when a slice stops counting.
local function ends(b, slice) return b.ends or (slice + b.span) * b.width end

-- read fills b.o and b.f, whose first entry is the oldest slice.
local function read(b)
  b.o, b.f, b.own, b.others, b.held = {}, {}, 0, 0, 0
  local stored, old = redis.call('HGETALL', b.key), {}
  for i = 1, #stored, 2 do
    local kind, slice, n = string.sub(stored[i], 1, 1), tonumber(string.sub(stored[i], 2)), tonumber(stored[i + 1])
    if kind == 'h' then
      b.held = n
    elseif slice < b.oldest then
      old[#old + 1] = stored[i]
    elseif kind == 'o' then
      b.o[slice - b.oldest + 1], b.own = n, b.own + n
    else
      b.f[slice - b.oldest + 1], b.others = n, b.others + n
    end
  end
  if #old > 0 then redis.call('HDEL', b.key, unpack(old)) end
end

-- touch keeps the hash for as long as anything in it counts.
local function touch(b)
  redis.call('PEXPIRE', b.key, math.max(ends(b, b.current) - now, b.held - now, 1))
end

local function spend(b, n)
  if n <= 0 then return end
  local i = b.current - b.oldest + 1
  b.o[i], b.own = (b.o[i] or 0) + n, b.own + n
  redis.call('HINCRBY', b.key, name('o', b.current), n)
  touch(b)
end

-- move counts what was spent then as if it were spent a little ago, since it may
-- have arrived as late as that.
local function move(b)
  if b.late <= 0 or b.width <= 0 then return end
  local from, to = math.floor(b.spent / b.width), math.floor((now - b.ago) / b.width)
  local i, j = from - b.oldest + 1, to - b.oldest + 1
  if to <= from or (b.o[i] or 0) < b.late then return end
  b.o[i], b.o[j] = b.o[i] - b.late, (b.o[j] or 0) + b.late
  redis.call('HINCRBY', b.key, name('o', from), -b.late)
  redis.call('HINCRBY', b.key, name('o', to), b.late)
  touch(b)
end

-- correct believes the vendor where less remains than is known here: others
-- have spent it. It counts until the vendor's reset, where that is known.
local function correct(b)
  local more = b.amount - b.remaining - b.own - b.others
  if b.remaining >= 0 and more > 0 then
    local slice = b.current
    if b.width > 0 and b.reset > 0 then
      slice = math.min(slice, math.max(b.oldest, math.ceil((now + b.reset) / b.width) - b.span))
    end
    local i = slice - b.oldest + 1
    b.f[i], b.others = (b.f[i] or 0) + more, b.others + more
    redis.call('HINCRBY', b.key, name('f', slice), more)
    touch(b)
  end
  if b.hold > 0 and now + b.hold > b.held then
    b.held = now + b.hold
    redis.call('HSET', b.key, 'h', string.format('%.0f', b.held))
    touch(b)
  end
end

-- wait answers how long it takes at least until the cost fits: what is ours
-- into the cap, and what is everybody's into the amount.
local function wait(b)
  if b.cost <= 0 then return 0 end
  local own, all, free = b.own + b.cost, b.own + b.others + b.cost, 0
  for slice = b.oldest, b.current do
    if own <= b.cap and all <= b.amount then break end
    local i = slice - b.oldest + 1
    local o, f = b.o[i] or 0, b.f[i] or 0
    if o + f > 0 then free = ends(b, slice) - now end
    own, all = own - o, all - o - f
  end
  if own > b.cap or all > b.amount then free = ends(b, b.current) - now end
  return math.max(free, b.held - now, 0)
end

redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[2])

local buckets, longest = {}, 0
for i = 2, #KEYS do
  local b = {key = KEYS[i]}
  for j, field in ipairs(FIELDS) do b[field] = tonumber(ARGV[2 + (i - 2) * #FIELDS + j]) end
  place(b)
  read(b)
  spend(b, b.owed)
  move(b)
  correct(b)
  b.wait = wait(b)
  longest = math.max(longest, b.wait)
  buckets[#buckets + 1] = b
end

local answer = {longest, now, redis.call('ZCARD', KEYS[1])}
for _, b in ipairs(buckets) do
  if longest == 0 then spend(b, b.cost) end
  answer[#answer + 1], answer[#answer + 2], answer[#answer + 3] = b.own, b.others, b.wait
end
return answer
