package redismeta

import "github.com/redis/go-redis/v9"

// scripts are the changes of several keys. Each answers with a word: ok,
// missing, exists, conflict.
type scripts struct {
	create, update, drop, commit, open, forget, beat, nodes, reap, ring *redis.Script
	swap, vote, release                                                 *redis.Script
	queueAdd, queueTake, queueSettle, queueUnpark                       *redis.Script
	settled                                                             *redis.Script
	record, settle, lock, stage, replace, days, birth                   *redis.Script
}

func newScripts(cluster bool) scripts {
	notes, changes := directLua, directChangeLua
	if cluster {
		notes, changes = dirtyLua, pendingChangeLua
	}
	changes = fenceLua + changes // which take their keys and arguments from the end
	return scripts{
		create: redis.NewScript(changes + growLua + notes + createLua),
		update: redis.NewScript(changes + updateLua),
		drop:   redis.NewScript(changes + notes + dropLua),
		commit: redis.NewScript(fenceLua + growLua + notes + commitLua),
		open:   redis.NewScript(growLua + openLua),
		forget: redis.NewScript(growLua + forgetLua),
		beat:   redis.NewScript(beatLua),
		nodes:  redis.NewScript(nodesLua),
		reap:   redis.NewScript(reapLua),
		ring:   redis.NewScript(fenceLua + ringLua),

		record:  redis.NewScript(fenceLua + recordLua),
		settle:  redis.NewScript(settleLua),
		lock:    redis.NewScript(lockLua),
		stage:   redis.NewScript(stageLua),
		replace: redis.NewScript(changes + growLua + notes + replaceLua),
		days:    redis.NewScript(notes + daysLua),

		birth:   redis.NewScript(birthLua),
		settled: redis.NewScript(settledLua),
		swap:    redis.NewScript(swapLua),
		vote:    redis.NewScript(voteLua),
		release: redis.NewScript(releaseLua),

		queueAdd:    redis.NewScript(queueAddLua),
		queueTake:   redis.NewScript(queueTakeLua),
		queueSettle: redis.NewScript(queueSettleLua),
		queueUnpark: redis.NewScript(queueUnparkLua),
	}
}

// growLua raises a version to the clock's microseconds at least, which is
// beyond the versions of earlier tables of the name.
const growLua = `
local function grow(key)
  local now = redis.call('TIME')
  local version = now[1] * 1000000 + now[2]
  local old = tonumber(redis.call('GET', key) or '0')
  if version <= old then version = old + 1 end
  redis.call('SET', key, string.format('%.0f', version))
end
`

// directLua changes tables:list and the SETs by id and day with the rest.
const directLua = `
local function enlist(key, table) redis.call('SADD', key, table) end
local function delist(key, table) redis.call('SREM', key, table) end
local function file_in(prefix, day, path) redis.call('SADD', prefix .. day, path) end
local function file_out(prefix, day, path) redis.call('SREM', prefix .. day, path) end
local function touched(prefix) end
`

// dirtyLua notes in one HASH what has to change in keys on other servers: for
// a path its SET and whether it is in it, and for the table the empty field.
// Each note has a number of its own, so that a newer one is told apart.
const dirtyLua = `
local function touched(key) redis.call('HSET', key, '', redis.call('HINCRBY', key, '#', 1)) end
local function enlist(key, table) touched(key) end
local function delist(key, table) touched(key) end
local function file_in(key, day, path) redis.call('HSET', key, path, '+' .. redis.call('HINCRBY', key, '#', 1) .. ' ' .. day) end
local function file_out(key, day, path) redis.call('HSET', key, path, '-' .. redis.call('HINCRBY', key, '#', 1) .. ' ' .. day) end
`

// KEYS: dirty schema. ARGV: field and note of each that is done
const settledLua = `
for i = 1, #ARGV, 2 do
  if redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[i + 1] then redis.call('HDEL', KEYS[1], ARGV[i]) end
end
if redis.call('HLEN', KEYS[1]) == 1 and redis.call('EXISTS', KEYS[2]) == 0 then redis.call('DEL', KEYS[1]) end
return 'ok'
`

// KEYS: tables:list schema config stats created_at version
// ARGV: request name uid revision schemas created, then config's fields
const createLua = `
if redis.call('EXISTS', KEYS[2]) == 1 then
  if redis.call('HGET', KEYS[2], 'op') == ARGV[1] then return 'ok' end
  return 'exists'
end
if fenced() then return 'fenced' end
record()
enlist(KEYS[1], ARGV[2])
redis.call('HSET', KEYS[2], 'op', ARGV[1], 'uid', ARGV[3], 'revision', ARGV[4], 'schemas', ARGV[5])
redis.call('HSET', KEYS[3], unpack(ARGV, 7))
redis.call('HSET', KEYS[4], 'record_count', '0', 'file_count', '0', 'size_bytes', '0', 'oldest_record', '', 'newest_record', '')
redis.call('SET', KEYS[5], ARGV[6])
grow(KEYS[6])
return 'ok'
`

// KEYS: schema config
// ARGV: request uid revision next schemas, then config's fields
const updateLua = `
local uid = redis.call('HGET', KEYS[1], 'uid')
if not uid then return 'missing' end
if redis.call('HGET', KEYS[1], 'op') == ARGV[1] then return 'ok' end
if uid ~= ARGV[2] or redis.call('HGET', KEYS[1], 'revision') ~= ARGV[3] then return 'conflict' end
if fenced() then return 'fenced' end
record()
redis.call('HSET', KEYS[1], 'op', ARGV[1], 'revision', ARGV[4], 'schemas', ARGV[5])
redis.call('HSET', KEYS[2], unpack(ARGV, 6)) -- fields of a newer release stay
return 'ok'
`

// KEYS: receipt tables:list schema files, then all other keys of the table
// ARGV: name uid, prefix of the keys by id and day, revision or nothing
// The receipt takes over the files; its empty field says that there is one.
const dropLua = `
if redis.call('HGET', KEYS[3], 'uid') ~= ARGV[2] then
  if redis.call('EXISTS', KEYS[1]) == 1 then return 'ok' end
  return 'missing'
end
if ARGV[4] ~= '' and redis.call('HGET', KEYS[3], 'revision') ~= ARGV[4] then return 'conflict' end
if fenced() then return 'fenced' end
record()
local files = redis.call('HGETALL', KEYS[4])
for i = 1, #files, 2 do
  local f = cjson.decode(files[i + 1])
  local id = '_'
  if f.has_id then id = f.id end
  file_out(ARGV[3], id .. ':' .. f.day, files[i])
end
delist(KEYS[2], ARGV[1])
if redis.call('EXISTS', KEYS[4]) == 1 then redis.call('RENAME', KEYS[4], KEYS[1]) end
for i = 3, #KEYS do redis.call('UNLINK', KEYS[i]) end
redis.call('HSET', KEYS[1], '', '')
redis.call('EXPIRE', KEYS[1], 600)
return 'ok'
`

// KEYS: schema stats files version units open oldest newest last_write
// ARGV: uid unit time, prefix of the keys by id and day, who commits if only
// one may, 1 if the unit must be open, number of paths to remove, these paths,
// then for each file to add: path, "id:day", rows, bytes, least time, greatest
// time, JSON
const commitLua = `
if redis.call('HGET', KEYS[1], 'uid') ~= ARGV[1] then return 'missing' end
local done = redis.call('HGET', KEYS[5], ARGV[2])
if done then
  local at = string.find(done, ' ', 1, true)
  if at then return 'done' .. string.sub(done, at) end
  return 'done'
end
if fenced() then return 'fenced' end
if ARGV[6] == '1' and redis.call('HEXISTS', KEYS[6], ARGV[2]) == 0 then return 'closed' end
local adds = 8 + ARGV[7]
for i = 8, adds - 1 do
  if redis.call('HEXISTS', KEYS[3], ARGV[i]) == 0 then return 'conflict ' .. ARGV[i] end
end
local function count(files, rows, bytes)
  redis.call('HINCRBY', KEYS[2], 'file_count', files)
  redis.call('HINCRBY', KEYS[2], 'record_count', rows)
  redis.call('HINCRBY', KEYS[2], 'size_bytes', bytes)
end
local function remove(path)
  local text = redis.call('HGET', KEYS[3], path)
  if not text then return end
  local f = cjson.decode(text)
  local id = '_'
  if f.has_id then id = f.id end
  redis.call('HDEL', KEYS[3], path)
  file_out(ARGV[4], id .. ':' .. f.day, path)
  redis.call('ZREM', KEYS[7], f.min_time .. ' ' .. path)
  redis.call('ZREM', KEYS[8], f.max_time .. ' ' .. path)
  count('-1', string.format('%.0f', 0 - f.rows), string.format('%.0f', 0 - f.bytes))
end
for i = 8, adds - 1 do remove(ARGV[i]) end
for i = adds, #ARGV, 7 do
  local path = ARGV[i]
  remove(path)
  redis.call('HSET', KEYS[3], path, ARGV[i + 6])
  file_in(ARGV[4], ARGV[i + 1], path)
  if ARGV[i + 4] ~= '' then redis.call('ZADD', KEYS[7], 0, ARGV[i + 4] .. ' ' .. path) end
  if ARGV[i + 5] ~= '' then redis.call('ZADD', KEYS[8], 0, ARGV[i + 5] .. ' ' .. path) end
  count('1', ARGV[i + 2], ARGV[i + 3])
end
local function edge(command, key)
  local first = redis.call(command, key, 0, 0)[1] or ''
  return string.sub(first, 1, (string.find(first, ' ', 1, true) or 1) - 1)
end
redis.call('HSET', KEYS[2], 'oldest_record', edge('ZRANGE', KEYS[7]), 'newest_record', edge('ZREVRANGE', KEYS[8]))
if ARGV[3] > (redis.call('GET', KEYS[9]) or '') then redis.call('SET', KEYS[9], ARGV[3]) end
done = ARGV[3]
if ARGV[5] ~= '' then done = done .. ' ' .. ARGV[5] end
redis.call('HSET', KEYS[5], ARGV[2], done)
redis.call('HDEL', KEYS[6], ARGV[2])
touched(ARGV[4])
grow(KEYS[4])
return 'ok'
`

// KEYS: schema units open version
// ARGV: uid unit, node and replica
const openLua = `
if redis.call('HGET', KEYS[1], 'uid') ~= ARGV[1] then return 'missing' end
if redis.call('HEXISTS', KEYS[2], ARGV[2]) == 1 then return 'ok' end
if redis.call('HGET', KEYS[3], ARGV[2]) == ARGV[3] then return 'ok' end
redis.call('HSET', KEYS[3], ARGV[2], ARGV[3])
grow(KEYS[4])
return 'ok'
`

// KEYS: units version
// ARGV: units
const forgetLua = `
local forgotten = 0
for i = 1, #ARGV do forgotten = forgotten + redis.call('HDEL', KEYS[1], ARGV[i]) end
if forgotten > 0 then grow(KEYS[2]) end
return 'ok'
`

// KEYS: nodes:services nodes:heartbeat
// ARGV: node address, JSON
const beatLua = `
local now = redis.call('TIME')
local beat = string.format('%.0f', now[1] * 1000000 + now[2])
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('HSET', KEYS[2], ARGV[1], '{"beat_us":' .. beat .. ',"node":' .. ARGV[3] .. '}')
return 'ok'
`

// KEYS: nodes:services nodes:heartbeat
// It answers with the time in microseconds, then for each node its id, JSON,
// and 1 if it is in service.
const nodesLua = `
local now = redis.call('TIME')
local out = {string.format('%.0f', now[1] * 1000000 + now[2])}
local all = redis.call('HGETALL', KEYS[2])
for i = 1, #all, 2 do
  out[#out + 1] = all[i]
  out[#out + 1] = all[i + 1]
  out[#out + 1] = redis.call('HEXISTS', KEYS[1], all[i])
end
return out
`

// KEYS: nodes:services nodes:heartbeat
// ARGV: expiry of a node in service, and how long others are kept, both in
// microseconds. It answers with the nodes taken out of service.
const reapLua = `
local now = redis.call('TIME')
now = now[1] * 1000000 + now[2]
local reaped = {}
local all = redis.call('HGETALL', KEYS[2])
for i = 1, #all, 2 do
  local id, age = all[i], now - cjson.decode(all[i + 1]).beat_us
  if redis.call('HEXISTS', KEYS[1], id) == 1 then
    if age > tonumber(ARGV[1]) then
      redis.call('HDEL', KEYS[1], id)
      reaped[#reaped + 1] = id
    end
  elseif age > tonumber(ARGV[2]) then
    redis.call('HDEL', KEYS[2], id)
  end
end
return reaped
`

// KEYS: cluster:hash_ring
// ARGV: score and member of each point
const ringLua = `
if fenced() then return 'fenced' end
redis.call('DEL', KEYS[1])
for i = 1, #ARGV, 2 do redis.call('ZADD', KEYS[1], ARGV[i], ARGV[i + 1]) end
return 'ok'
`
