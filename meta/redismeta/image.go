package redismeta

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"

	"skein/meta"
	"skein/meta/internal/evolution"
)

const (
	copyKeep = "3600" // seconds that a copy or receipt lives if its reader dies
	scanStep = 500    // entries asked for in one round trip
)

// ReadImage implements meta.Store. Redis copies the index, so that writers go
// on; that takes as much of its memory again until f returns.
func (s *Store) ReadImage(ctx context.Context, table string, f func(meta.Image) error) error {
	k := s.keysOf(table)
	copied := k.copies + newRequest()
	var reply tableReply
	var version *redis.StringCmd
	var units *redis.StringSliceCmd
	var open *redis.MapStringStringCmd
	var count *redis.IntCmd
	defer s.unlink(context.WithoutCancel(ctx), copied)
	err := s.read(ctx, func(ctx context.Context, p redis.Pipeliner) {
		reply = s.askTable(ctx, p, table)
		version, units, open = p.Get(ctx, k.version), p.HKeys(ctx, k.units), p.HGetAll(ctx, k.open)
		p.Do(ctx, "COPY", k.files, copied, "REPLACE")
		p.Do(ctx, "EXPIRE", copied, copyKeep)
		count = p.HLen(ctx, copied)
	})
	if err != nil {
		return err
	}
	if len(reply.schema.Val()) == 0 {
		return missing(table)
	}
	t, err := reply.decode(table)
	if err != nil {
		return fmt.Errorf("table %s is damaged in redis %s: %w", table, s.address, err)
	}
	var d decoder
	img := meta.Image{Table: t, Version: d.int(version.Val(), 64), Units: units.Val(), Count: count.Val()}
	for unit, holder := range open.Val() {
		img.Open = append(img.Open, meta.HeldUnit(unit, holder))
	}
	slices.Sort(img.Units)
	slices.SortFunc(img.Open, meta.OpenUnit.Compare)
	img.Files = func(yield func([]meta.File, error) bool) { s.pages(ctx, copied, yield) }
	if d.err != nil {
		return fmt.Errorf("index of table %s is damaged in redis %s: %w", table, s.address, d.err)
	}
	return f(img)
}

// unlink removes a key that would end by itself.
func (s *Store) unlink(ctx context.Context, key string) {
	_ = s.call(ctx, func(ctx context.Context) error { return s.client.Unlink(ctx, key).Err() })
}

// pages yields the files of a HASH that does not change, meta.PageMax at most
// at a time.
func (s *Store) pages(ctx context.Context, key string, yield func([]meta.File, error) bool) {
	for cursor := uint64(0); ; {
		var flat []string
		var next uint64
		err := s.call(ctx, func(ctx context.Context) (err error) {
			flat, next, err = s.client.HScan(ctx, key, cursor, "", scanStep).Result()
			return err
		})
		if err != nil {
			yield(nil, err)
			return
		}
		cursor = next
		var page []meta.File
		for i := 0; i+1 < len(flat); i += 2 {
			if flat[i] == "" {
				continue // says that a receipt is one
			}
			f, err := decodeFile(flat[i], flat[i+1])
			if err != nil {
				yield(nil, fmt.Errorf("file %s is damaged in redis %s: %w", flat[i], s.address, err))
				return
			}
			page = append(page, f)
		}
		for some := range slices.Chunk(page, meta.PageMax) {
			if !yield(some, nil) {
				return
			}
		}
		if cursor == 0 {
			return
		}
	}
}

// stageKeys are the keys of a stage: files, oldest, newest, statistics.
func (k tableKeys) stageKeys(stage string) []string {
	p := k.stage + stage + ":"
	return []string{p + "files", p + "oldest", p + "newest", p + "stats"}
}

// StageFiles implements meta.Store. Stages end meta.StageKeep after the last
// addition.
func (s *Store) StageFiles(ctx context.Context, table, stage string, files []meta.File) error {
	if err := meta.ValidateStage(table, stage, files); err != nil {
		return err
	}
	args := []any{meta.StageKeep.Milliseconds()}
	for _, f := range files {
		r := recordOf(f)
		text, err := json.Marshal(r)
		if err != nil {
			return fmt.Errorf("file %s: %w", f.Path, err)
		}
		args = append(args, f.Path, f.Rows, f.Bytes, r.MinTime, r.MaxTime, text)
	}
	_, _, err := s.run(ctx, s.scripts.stage, s.keysOf(table).stageKeys(stage), args...)
	return err
}

// KEYS: files oldest newest stats of the stage
// ARGV: time to live, then path, rows, bytes, least and greatest time, JSON of each
const stageLua = `
for i = 2, #ARGV, 6 do
  if redis.call('HSETNX', KEYS[1], ARGV[i], ARGV[i + 5]) == 1 then
    if ARGV[i + 3] ~= '' then redis.call('ZADD', KEYS[2], 0, ARGV[i + 3] .. ' ' .. ARGV[i]) end
    if ARGV[i + 4] ~= '' then redis.call('ZADD', KEYS[3], 0, ARGV[i + 4] .. ' ' .. ARGV[i]) end
    redis.call('HINCRBY', KEYS[4], 'file_count', '1')
    redis.call('HINCRBY', KEYS[4], 'record_count', ARGV[i + 1])
    redis.call('HINCRBY', KEYS[4], 'size_bytes', ARGV[i + 2])
  end
end
for i = 1, 4 do redis.call('PEXPIRE', KEYS[i], ARGV[1]) end
return 'ok'
`

// DropStage implements meta.Store.
func (s *Store) DropStage(ctx context.Context, table, stage string) error {
	if err := meta.ValidateStage(table, stage, nil); err != nil {
		return err
	}
	return s.call(ctx, func(ctx context.Context) error {
		return s.client.Unlink(ctx, s.keysOf(table).stageKeys(stage)...).Err()
	})
}

// ReplaceTable implements meta.Store. The specification's SETs by id and day
// follow after the step, page by page.
func (s *Store) ReplaceTable(ctx context.Context, r meta.Replacement) (meta.Table, error) {
	if err := r.Validate(); err != nil {
		return meta.Table{}, err
	}
	schemas, config, err := encodeTable(r.Table)
	if err != nil {
		return meta.Table{}, err
	}
	name, k, t := r.Table.Name, s.keysOf(r.Table.Name), r.Stored()
	if err := s.enlist(ctx, name); err != nil {
		return meta.Table{}, err
	}
	receipt := k.receipt + newRequest()
	keys := []string{k.schema, k.config, k.stats, k.created, k.lastWrite, k.version, k.units, k.open, k.files, k.oldest, k.newest, k.tables, receipt}
	args := []any{newRequest(), name, t.UID, r.Version, r.Revision, t.Revision, schemas, meta.FormatTime(t.Created),
		meta.FormatTime(t.Stats.LastWrite), r.Count, meta.FormatTime(r.Change.At), len(r.Units), len(r.Open)}
	for _, u := range r.Units {
		args = append(args, u)
	}
	for _, u := range r.Open {
		args = append(args, u.Unit, u.Holder())
	}
	args = append(args, config...)
	word, err := s.change(ctx, s.scripts.replace, r.Change, k, append(keys, k.stageKeys(r.Stage)...), args...)
	switch {
	case err != nil:
		return meta.Table{}, err
	case word == "conflict":
		return meta.Table{}, fmt.Errorf("table %s: %w", name, meta.ErrConflict)
	case word == "gone":
		return meta.Table{}, fmt.Errorf("table %s: %w", name, meta.ErrStageGone)
	}
	follow := context.WithoutCancel(ctx)
	if err := s.followDays(follow, k, receipt); err != nil {
		return meta.Table{}, err
	}
	s.mirror(follow, name)
	stored, err := s.Table(follow, name)
	stored.Schemas = evolution.Shared(stored.Schemas)
	return stored, err
}

// KEYS: schema config stats created last_write version units open files oldest
// newest tables:list receipt, then files oldest newest stats of the stage
// ARGV: request name uid version revision next schemas created last_write
// count time, numbers of units and open ones, these, then config's fields
const replaceLua = `
local uid = redis.call('HGET', KEYS[1], 'uid')
if uid and redis.call('HGET', KEYS[1], 'op') == ARGV[1] then return 'ok' end
local version, revision = '0', '0'
if uid then version, revision = redis.call('GET', KEYS[6]), redis.call('HGET', KEYS[1], 'revision') end
if version ~= ARGV[4] or revision ~= ARGV[5] then return 'conflict' end
if redis.call('HLEN', KEYS[14]) ~= tonumber(ARGV[10]) then return 'gone' end
if fenced() then return 'fenced' end
record()
if redis.call('EXISTS', KEYS[9]) == 1 then redis.call('RENAME', KEYS[9], KEYS[13]) end
redis.call('HSET', KEYS[13], '', '')
redis.call('EXPIRE', KEYS[13], 3600)
for _, i in ipairs({2, 3, 4, 5, 7, 8, 10, 11}) do redis.call('UNLINK', KEYS[i]) end
for from, to in pairs({[14] = 9, [15] = 10, [16] = 11}) do
  if redis.call('EXISTS', KEYS[from]) == 1 then
    redis.call('PERSIST', KEYS[from])
    redis.call('RENAME', KEYS[from], KEYS[to])
  end
end
local function edge(command, key)
  local first = redis.call(command, key, 0, 0)[1] or ''
  return string.sub(first, 1, (string.find(first, ' ', 1, true) or 1) - 1)
end
local function stat(field) return redis.call('HGET', KEYS[17], field) or '0' end
redis.call('HSET', KEYS[3], 'record_count', stat('record_count'), 'file_count', stat('file_count'), 'size_bytes', stat('size_bytes'),
  'oldest_record', edge('ZRANGE', KEYS[10]), 'newest_record', edge('ZREVRANGE', KEYS[11]))
redis.call('UNLINK', KEYS[17])
redis.call('HSET', KEYS[1], 'op', ARGV[1], 'uid', ARGV[3], 'revision', ARGV[6], 'schemas', ARGV[7])
redis.call('SET', KEYS[4], ARGV[8])
if ARGV[9] ~= '' then redis.call('SET', KEYS[5], ARGV[9]) end
local at = 14
for i = 1, tonumber(ARGV[12]) do
  redis.call('HSET', KEYS[7], ARGV[at], ARGV[11])
  at = at + 1
end
for i = 1, tonumber(ARGV[13]) do
  redis.call('HSET', KEYS[8], ARGV[at], ARGV[at + 1])
  at = at + 2
end
redis.call('HSET', KEYS[2], unpack(ARGV, at))
enlist(KEYS[12], ARGV[2])
grow(KEYS[6])
return 'ok'
`

// followDays brings the SETs by id and day up to the index, for the files that
// a replacement took away and for those that it brought.
func (s *Store) followDays(ctx context.Context, k tableKeys, receipt string) error {
	for _, key := range []string{receipt, k.files} {
		var failed error
		s.pages(ctx, key, func(files []meta.File, err error) bool {
			if failed = err; err != nil {
				return false
			}
			args := []any{k.byIDDay}
			for _, f := range files {
				args = append(args, f.Path, idDay(f))
			}
			_, _, failed = s.run(ctx, s.scripts.days, []string{k.files, k.tables}, args...)
			return failed == nil
		})
		if failed != nil {
			return failed
		}
	}
	s.unlink(ctx, receipt)
	return nil
}

// KEYS: files, and what shares their server. ARGV: prefix of the keys by id
// and day, then path and "id:day" of each
const daysLua = `
for i = 2, #ARGV, 2 do
  if redis.call('HEXISTS', KEYS[1], ARGV[i]) == 1 then
    file_in(ARGV[1], ARGV[i + 1], ARGV[i])
  else
    file_out(ARGV[1], ARGV[i + 1], ARGV[i])
  end
end
return 'ok'
`
