"""What Redis runs as one atomic step each; the documents themselves are never parsed there.

Tokens and epochs are compared as text, since a script's numbers are floating-point ones. A
document is compared with what its new form was made of, by hash, so that whatever the service
changed in between is seen.
"""

_STANDING = """
-- Before Redis 7 a script that asks the server something may only write after saying this.
if redis.replicate_commands then redis.replicate_commands() end
local function higher(a, b) return #a > #b or (#a == #b and a > b) end
local function standing(state)
  local row = redis.call('HMGET', state,
    'run', 'durable', 'ledger', 'incarnation', 'epoch', 'highest')
  if not row[1] then return 'unprepared', row end
  if row[2] ~= '1' then
    local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
    if run ~= row[1] then return 'restarted', row end
  end
  if not row[5] then return 'no epoch', row end
  return 'ok', row
end
"""
"""`restarted`: the server that was prepared is gone, and did not keep every write."""

EPOCH = (
    _STANDING
    + """
local state, row = standing(KEYS[1])
return {state, row[3], row[4], row[5], row[6]}
"""
)
"""KEYS: state. Gives the standing, ledger, incarnation, epoch, highest token."""

PREPARE = (
    _STANDING
    + """
local state = standing(KEYS[1])
if state == 'restarted' then
  redis.call('HDEL', KEYS[1], 'ledger', 'incarnation', 'epoch')
end
if state == 'unprepared' or state == 'restarted' then
  redis.call('HSET', KEYS[1], 'run',
    string.match(redis.call('INFO', 'server'), 'run_id:(%x+)'))
end
redis.call('HSET', KEYS[1], 'durable', ARGV[1])
return state
"""
)
"""KEYS: state; ARGV: whether the server is durable."""

SET_EPOCH = (
    _STANDING
    + """
local state, row = standing(KEYS[1])
if state == 'unprepared' or state == 'restarted' then return {state} end
if (row[3] or '') ~= ARGV[1] or (row[4] or '') ~= ARGV[2] or (row[5] or '') ~= ARGV[3] then
  return {'changed'}
end
redis.call('HSET', KEYS[1], 'ledger', ARGV[4], 'incarnation', ARGV[5], 'epoch', ARGV[6])
return {'ok'}
"""
)
"""KEYS: state; ARGV: ledger, incarnation, epoch as they were read, and as they shall be."""

PUT = (
    _STANDING
    + """
local state, row = standing(KEYS[1])
if state ~= 'ok' then return {state} end
if ARGV[1] ~= '' and (row[3] ~= ARGV[1] or row[4] ~= ARGV[2]) then return {'ledger'} end
if row[5] ~= ARGV[3] then return {'epoch', row[5]} end
local fenced, changed, wrong, foreign = {}, {}, {}, {}
local count = (#KEYS - 1) / 3
for i = 1, count do
  local fence, index, document = KEYS[3 * i - 1], KEYS[3 * i], KEYS[3 * i + 1]
  local a = 4 + (i - 1) * 6
  local kept = redis.call('HGET', fence, ARGV[a])
  redis.call('ZCARD', index)
  if kept and higher(kept, ARGV[a + 1]) then
    fenced[#fenced + 1] = i
  elseif ARGV[a + 3] ~= 'token' then
    local found = redis.pcall('GET', document)
    if type(found) == 'table' then
      foreign[i] = true
      if ARGV[a + 3] ~= 'delete' then wrong[#wrong + 1] = i end
    elseif ARGV[a + 3] ~= 'delete' then
      local hash = found and redis.sha1hex(found) or ''
      if hash ~= ARGV[a + 4] then changed[#changed + 1] = i end
    end
  end
end
if #wrong > 0 then return {'wrong', wrong} end
if #changed > 0 then return {'changed', changed} end
if #fenced > 0 and ARGV[#ARGV] == 'all' then return {'fenced', fenced} end
local skip, highest = {}, row[6] or '0'
for _, i in ipairs(fenced) do skip[i] = true end
for i = 1, count do
  if not skip[i] then
    local fence, index, document = KEYS[3 * i - 1], KEYS[3 * i], KEYS[3 * i + 1]
    local a = 4 + (i - 1) * 6
    if higher(ARGV[a + 1], highest) then highest = ARGV[a + 1] end
    redis.call('HSET', fence, ARGV[a], ARGV[a + 1])
    if ARGV[a + 3] == 'set' then
      redis.call('SET', document, ARGV[a + 5], 'KEEPTTL')
    elseif ARGV[a + 3] == 'delete' and not foreign[i] then
      redis.call('DEL', document)
      redis.call('ZREM', index, ARGV[a + 2])
    end
    if ARGV[a + 3] == 'set' or ARGV[a + 3] == 'keep' then
      redis.call('ZADD', index, 0, ARGV[a + 2])
    end
  end
end
redis.call('HSET', KEYS[1], 'highest', highest)
return {'ok', fenced}
"""
)
"""KEYS: state, then fence, index, document of each; ARGV: ledger, incarnation, epoch, then key,
token, member of the index, what to do, hash of the document as it was read, new document of each;
at the end `all` where nothing may be fenced."""

READ = """
local found = redis.pcall('GET', KEYS[3])
if type(found) == 'table' then found = false end
if redis.call('EXISTS', KEYS[1]) == 1 then
  if found then redis.call('ZADD', KEYS[2], 0, ARGV[1])
  else redis.call('ZREM', KEYS[2], ARGV[1]) end
end
return found
"""
"""KEYS: state, index, document; ARGV: member. Whatever was ever read is in the index."""

RANGE = """
local low, high, wanted, examined = ARGV[1], ARGV[2], tonumber(ARGV[3]), 0
local result = {}
while #result < wanted and examined < 20000 do
  local members = redis.call('ZRANGEBYLEX', KEYS[1], low, high, 'LIMIT', 0, wanted - #result)
  if #members == 0 then return {1, low, result} end
  for _, member in ipairs(members) do
    local size = tonumber(string.sub(member, -8), 16)
    local document = string.sub(member, size + 1, -9)
    local found
    if ARGV[4] == 'documents' then found = redis.pcall('GET', document)
    else found = redis.call('EXISTS', document) == 1 and '' or false end
    if found and type(found) ~= 'table' then result[#result + 1] = {member, found}
    else redis.call('ZREM', KEYS[1], member) end
  end
  examined = examined + #members
  low = '(' .. members[#members]
end
return {0, low, result}
"""
"""KEYS: index; ARGV: bounds, how many, `documents` or `keys`. Gives whether the range has ended,
where to go on, and members with their documents. Those that are gone leave the index."""

LAST = """
while true do
  local members = redis.call('ZREVRANGEBYLEX', KEYS[1], '+', '-', 'LIMIT', 0, 1)
  if #members == 0 then return false end
  local size = tonumber(string.sub(members[1], -8), 16)
  if redis.call('EXISTS', string.sub(members[1], size + 1, -9)) == 1 then return members[1] end
  redis.call('ZREM', KEYS[1], members[1])
end
"""
"""KEYS: index. The last member whose document exists."""

RAISE_COUNTER = """
local found = redis.call('GET', KEYS[1]) or '0'
if string.sub(found, 1, 1) == '-' or #ARGV[1] > #found
    or (#ARGV[1] == #found and ARGV[1] > found) then
  redis.call('SET', KEYS[1], ARGV[1], 'KEEPTTL')
end
return 1
"""
"""KEYS: the service's counter; ARGV: a number, zero or more. Never down."""
