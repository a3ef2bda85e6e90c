package redismeta

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"skein/internal/fault"
	"skein/meta"
)

const recordTriesMax = 20 // while others change the catalog at the same moment

// historyRecord is a change as the history keeps it; scripts add version, base
// and merged at its begin.
type historyRecord struct {
	ID string `json:"id"` // of the request, so that its repetition is known
	meta.Change
}

// change runs a script that changes a table and records it. What it adds to
// the keys and arguments is taken off by the script.
func (s *Store) change(ctx context.Context, script *redis.Script, c meta.Change, k tableKeys, keys []string, args ...any) (word string, err error) {
	if err := c.Validate(); err != nil {
		return "", err
	}
	if err := s.checkBase(ctx, c.Table, k); err != nil {
		return "", err
	}
	text, err := encodeChange(newRequest(), c)
	if err != nil {
		return "", err
	}
	version, history := catalogKey, historyKey
	if s.cluster {
		version, history = k.changes, k.changes
		defer s.settleChanges(context.WithoutCancel(ctx), k)
	}
	keys = append(keys[:len(keys):len(keys)], version, history)
	args = append(args[:len(args):len(args)], baseOf(ctx), structural(c), text)
	word, _, err = s.fenced(ctx, script, k.fence, keys, args...)
	return word, err
}

// checkBase tells, by ErrConflict, whether a table changed since the version
// that the writer's change is based on. What changes it from here on is found
// by its revision.
func (s *Store) checkBase(ctx context.Context, table string, k tableKeys) error {
	base := meta.WriterOf(ctx).Base
	if base.IsZero() {
		return nil
	}
	if s.cluster && table != "" {
		s.settleChanges(ctx, k)
	}
	now, history, err := s.versionAndHistory(ctx, meta.HistoryMax)
	if err != nil {
		return err
	}
	return meta.ConflictSince(base, now, history, table)
}

// fenced runs a script that heeds the writer's lock. fence begins the key of
// the greatest token in a cluster.
func (s *Store) fenced(ctx context.Context, script *redis.Script, fence string, keys []string, args ...any) (word, rest string, err error) {
	w := meta.WriterOf(ctx)
	token, fenceKey := "", keys[0]
	if w.Operation != "" {
		token, fenceKey = strconv.FormatInt(w.Token, 10), lockKeys(w.Operation)[1]
		if s.cluster { // the tokens are on another server: each of them keeps the greatest that it has seen
			if err := s.checkToken(ctx, w); err != nil {
				return "", "", err
			}
			fenceKey = fence + w.Operation
		}
	}
	word, rest, err = s.run(ctx, script, append(keys[:len(keys):len(keys)], fenceKey), append(args[:len(args):len(args)], token)...)
	if err == nil && word == "fenced" {
		return "", "", fmt.Errorf("%s: %w", w.Operation, meta.ErrFenced)
	}
	return word, rest, err
}

func (s *Store) checkToken(ctx context.Context, w meta.Writer) error {
	var newest int64
	err := s.call(ctx, func(ctx context.Context) (err error) {
		newest, err = s.client.Get(ctx, lockKeys(w.Operation)[1]).Int64()
		if errors.Is(err, redis.Nil) {
			return nil
		}
		return err
	})
	if err == nil && newest > w.Token {
		return fmt.Errorf("%s: %w", w.Operation, meta.ErrFenced)
	}
	return err
}

// fenceLua answers whether the last key holds a greater token than the last
// argument, and notes a greater argument there. Both are taken off.
const fenceLua = `
local token, fence = table.remove(ARGV), table.remove(KEYS)
local function fenced()
  if token == '' then return false end
  local seen = tonumber(redis.call('GET', fence) or '0')
  if seen < tonumber(token) then redis.call('SET', fence, token) end
  return seen > tonumber(token)
end
`

// noteLua puts a change on the history, and raises the version.
const noteLua = `
local function note(version_key, history_key, version, base, next, text)
  local merged = ''
  if base == '' then base = version end
  if base ~= version then merged = '"merged":true,' end
  redis.call('SET', version_key, next)
  redis.call('LPUSH', history_key, '{"version":"' .. next .. '","base":"' .. base .. '",' .. merged .. string.sub(text, 2))
  redis.call('LTRIM', history_key, 0, 9999)
  redis.call('PUBLISH', 'metadata:changed', next)
end
`

// directChangeLua records the change whose base, kind of version and text are
// the last arguments, by the last keys: version and history.
const directChangeLua = noteLua + `
local history_key, version_key = table.remove(KEYS), table.remove(KEYS)
local text, structural, base = table.remove(ARGV), table.remove(ARGV), table.remove(ARGV)
local function record()
  local version = redis.call('GET', version_key) or '1.0.0'
  local major, minor, patch = string.match(version, '^(%d+)%.(%d+)%.(%d+)$')
  major, minor, patch = tonumber(major), tonumber(minor), tonumber(patch)
  if structural == '1' then minor, patch = minor + 1, 0 else patch = patch + 1 end
  note(version_key, history_key, version, base, string.format('%.0f.%.0f.%.0f', major, minor, patch), text)
end
`

// pendingChangeLua keeps the change with the table, for settleChanges.
const pendingChangeLua = `
local changes_key = table.remove(KEYS)
table.remove(KEYS)
local text, structural, base = table.remove(ARGV), table.remove(ARGV), table.remove(ARGV)
local function record() redis.call('RPUSH', changes_key, base .. ' ' .. text) end
`

// settleChanges records the changes that a cluster keeps with a table. It
// fails silently: they stay, and the next change of the table or Repair does it.
func (s *Store) settleChanges(ctx context.Context, k tableKeys) {
	var pending []string
	err := s.call(ctx, func(ctx context.Context) (err error) {
		pending, err = s.client.LRange(ctx, k.changes, 0, -1).Result()
		return err
	})
	if err != nil {
		return
	}
	for _, entry := range pending {
		base, text, _ := strings.Cut(entry, " ")
		var r historyRecord
		var based meta.Semver
		if json.Unmarshal([]byte(text), &r) == nil && based.UnmarshalText([]byte(base)) == nil {
			if _, err := s.append(ctx, s.scripts.record, r.ID, r.Change, based, nil); err != nil {
				return
			}
		}
		if _, _, err := s.run(ctx, s.scripts.settle, []string{k.changes}, entry); err != nil {
			return
		}
	}
}

const settleLua = `
redis.call('LREM', KEYS[1], 1, ARGV[1])
return 'ok'
`

// Record implements meta.Store.
func (s *Store) Record(ctx context.Context, c meta.Change) (meta.Change, error) {
	if err := c.Validate(); err != nil {
		return c, err
	}
	base := meta.WriterOf(ctx).Base
	return s.append(ctx, s.scripts.record, newRequest(), c, base, func(now meta.Semver, history []meta.Change) error {
		return meta.ConflictSince(base, now, history, c.Table)
	})
}

// append puts a change on the history if check allows it after those that are
// there; nil allows all.
func (s *Store) append(ctx context.Context, script *redis.Script, id string, c meta.Change, base meta.Semver, check func(meta.Semver, []meta.Change) error) (meta.Change, error) {
	text, err := encodeChange(id, c)
	if err != nil {
		return c, err
	}
	limit := 0
	if check != nil && !base.IsZero() {
		limit = meta.HistoryMax
	}
	if check == nil {
		ctx = meta.Fenced(ctx, "", 0) // was checked with the table
	}
	for range recordTriesMax {
		now, history, err := s.versionAndHistory(ctx, limit)
		if err != nil {
			return c, err
		}
		if limit > 0 {
			if err := check(now, history); err != nil {
				return c, err
			}
		}
		made := c.After(now, base)
		word, rest, err := s.fenced(ctx, script, "{"+historyKey+"}:fence:", []string{s.catalogVersion(), historyKey},
			id, now.String(), made.Base.String(), made.Version.String(), text)
		if err != nil {
			return c, err
		}
		if word == "conflict" {
			continue
		}
		if made.Version, err = meta.ParseSemver(rest); err != nil {
			return c, err
		}
		s.copyVersion(ctx, made.Version)
		return made, nil
	}
	return c, fmt.Errorf("history: too many changes at once: %w", meta.ErrConflict)
}

// copyVersion follows metadata:version in a cluster, for people: nodes read
// the original.
func (s *Store) copyVersion(ctx context.Context, v meta.Semver) {
	if s.cluster {
		_ = s.call(ctx, func(ctx context.Context) error { return s.client.Set(ctx, catalogKey, v.String(), 0).Err() })
	}
}

// KEYS: version history. ARGV: request, expected version, base, next, JSON
const recordLua = noteLua + `
for _, entry in ipairs(redis.call('LRANGE', KEYS[2], 0, 99)) do
  if string.find(entry, '"id":"' .. ARGV[1] .. '"', 1, true) then
    return 'ok ' .. string.match(entry, '^{"version":"([%d.]+)"')
  end
end
if (redis.call('GET', KEYS[1]) or '1.0.0') ~= ARGV[2] then return 'conflict' end
if fenced() then return 'fenced' end
note(KEYS[1], KEYS[2], ARGV[2], ARGV[3], ARGV[4], ARGV[5])
return 'ok ' .. ARGV[4]
`

// Birth implements meta.Store. A catalog without a name gets one.
func (s *Store) Birth(ctx context.Context) (string, error) {
	var stored *redis.StringCmd
	if err := s.read(ctx, func(ctx context.Context, p redis.Pipeliner) { stored = p.Get(ctx, s.birth()) }); err != nil {
		return "", err
	}
	if birth := stored.Val(); birth != "" {
		return birth, nil
	}
	_, birth, err := s.run(ctx, s.scripts.birth, []string{s.birth()}, rand.Text())
	return birth, err
}

// KEYS: birth. ARGV: name
const birthLua = `
redis.call('SET', KEYS[1], ARGV[1], 'NX')
return 'ok ' .. redis.call('GET', KEYS[1])
`

// CatalogVersion implements meta.Store.
func (s *Store) CatalogVersion(ctx context.Context) (meta.Semver, error) {
	v, _, err := s.versionAndHistory(ctx, 0)
	return v, err
}

// History implements meta.Store.
func (s *Store) History(ctx context.Context, limit int) ([]meta.Change, error) {
	_, history, err := s.versionAndHistory(ctx, limit)
	return history, err
}

func (s *Store) versionAndHistory(ctx context.Context, limit int) (meta.Semver, []meta.Change, error) {
	var version *redis.StringCmd
	var entries *redis.StringSliceCmd
	err := s.read(ctx, func(ctx context.Context, p redis.Pipeliner) {
		version = p.Get(ctx, s.catalogVersion())
		if limit > 0 {
			entries = p.LRange(ctx, historyKey, 0, int64(min(limit, meta.HistoryMax))-1)
		}
	})
	if err != nil {
		return meta.Semver{}, nil, err
	}
	now := meta.FirstVersion
	if text := version.Val(); text != "" {
		if now, err = meta.ParseSemver(text); err != nil {
			return now, nil, fault.Wrap(fault.Internal, fmt.Errorf("%s is damaged in redis %s: %w", s.catalogVersion(), s.address, err))
		}
	}
	if limit <= 0 {
		return now, nil, nil
	}
	history := make([]meta.Change, len(entries.Val()))
	for i, entry := range entries.Val() {
		if err := json.Unmarshal([]byte(entry), &history[i]); err != nil {
			return now, nil, fmt.Errorf("entry %d of %s is damaged in redis %s: %w", i, historyKey, s.address, err)
		}
	}
	return now, history, nil
}

// checkLayout refuses a catalog that this program cannot read.
func (s *Store) checkLayout(ctx context.Context) error {
	v, err := s.CatalogVersion(ctx)
	if err == nil {
		err = v.Compatible()
	}
	if err != nil {
		return fmt.Errorf("redis %s: %w", s.address, err)
	}
	return nil
}

// encodeChange is the JSON of a change without what the scripts add.
func encodeChange(id string, c meta.Change) (string, error) {
	type entry struct {
		ID    string    `json:"id"`
		Kind  string    `json:"kind"`
		Table string    `json:"table,omitempty"`
		What  string    `json:"what"`
		Who   string    `json:"who,omitempty"`
		At    time.Time `json:"at"`
	}
	text, err := json.Marshal(entry{id, c.Kind, c.Table, c.What, c.Who, c.At.UTC()})
	if err != nil {
		return "", fmt.Errorf("change of table %s: %w", c.Table, err)
	}
	return string(text), nil
}

func baseOf(ctx context.Context) string {
	if b := meta.WriterOf(ctx).Base; !b.IsZero() {
		return b.String()
	}
	return ""
}

func structural(c meta.Change) string {
	if c.Structural() {
		return "1"
	}
	return "0"
}

// Lock implements meta.Store.
func (s *Store) Lock(ctx context.Context, operation, owner string, ttl time.Duration) (int64, error) {
	if err := meta.ValidateLock(operation, owner, ttl); err != nil {
		return 0, err
	}
	word, rest, err := s.run(ctx, s.scripts.lock, lockKeys(operation), owner, ttl.Milliseconds())
	if err != nil {
		return 0, err
	}
	if word == "held" {
		return 0, fmt.Errorf("%s: %w", operation, meta.ErrLocked)
	}
	return strconv.ParseInt(rest, 10, 64)
}

// KEYS: lock, its tokens. ARGV: owner, ttl
// A token is at least the clock's microseconds: tokens grow even if all keys
// are lost.
const lockLua = `
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return 'held' end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
local token = tonumber(redis.call('GET', KEYS[2]) or '0')
if not owner or token == 0 then
  local now = redis.call('TIME')
  token = math.max(token + 1, now[1] * 1000000 + now[2])
  redis.call('SET', KEYS[2], string.format('%.0f', token))
end
return 'ok ' .. string.format('%.0f', token)
`

// Unlock implements meta.Store.
func (s *Store) Unlock(ctx context.Context, operation, owner string) error {
	_, _, err := s.run(ctx, s.scripts.release, lockKeys(operation)[:1], owner)
	return err
}
