package redismeta

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"skein/meta"
	"skein/meta/internal/evolution"
)

const (
	tablesPerRead = 200 // tables read in one round trip
	readsAtOnce   = 16  // in a cluster
)

// CreateTable implements meta.Store.
func (s *Store) CreateTable(ctx context.Context, t meta.Table) error {
	if err := t.Validate(); err != nil {
		return err
	}
	schemas, config, err := encodeTable(t)
	if err != nil {
		return err
	}
	k := s.keysOf(t.Name)
	if err := s.enlist(ctx, t.Name); err != nil {
		return err
	}
	defer s.mirror(ctx, t.Name)
	change := meta.NewChange(ctx, meta.ChangeCreate, t.Name, fmt.Sprintf("%d columns", len(t.Schema().Columns)))
	args := []any{newRequest(), t.Name, t.UID, t.Revision, schemas, meta.FormatTime(t.Created)}
	answer, err := s.change(ctx, s.scripts.create, change, k,
		[]string{k.tables, k.schema, k.config, k.stats, k.created, k.version}, append(args, config...)...)
	if err == nil && answer == "exists" {
		return fmt.Errorf("%s: %w", t.Name, meta.ErrTableExists)
	}
	return err
}

// Table implements meta.Store.
func (s *Store) Table(ctx context.Context, name string) (meta.Table, error) {
	found, err := s.readTables(ctx, []string{name})
	if err != nil {
		return meta.Table{}, err
	}
	if len(found) == 0 {
		return meta.Table{}, missing(name)
	}
	return found[0], nil
}

// Tables implements meta.Store.
func (s *Store) Tables(ctx context.Context) ([]meta.Table, error) {
	var names []string
	err := s.call(ctx, func(ctx context.Context) (err error) {
		names, err = s.client.SMembers(ctx, tablesKey).Result()
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	var all []meta.Table
	for some := range slices.Chunk(names, tablesPerRead) {
		found, err := s.readTables(ctx, some)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// UpdateTable implements meta.Store.
func (s *Store) UpdateTable(ctx context.Context, t meta.Table) (meta.Table, error) {
	schemas, config, err := encodeTable(t)
	if err != nil {
		return meta.Table{}, err
	}
	stored, err := s.Table(ctx, t.Name) // for what the update does not change
	if err != nil {
		return meta.Table{}, err
	}
	k := s.keysOf(t.Name)
	args := []any{newRequest(), t.UID, t.Revision, t.Revision + 1, schemas}
	answer, err := s.change(ctx, s.scripts.update, meta.UpdateChange(ctx, stored, t), k, []string{k.schema, k.config}, append(args, config...)...)
	switch {
	case err != nil:
		return meta.Table{}, err
	case answer == "missing":
		return meta.Table{}, missing(t.Name)
	case answer == "conflict":
		return meta.Table{}, fmt.Errorf("table %s: %w", t.Name, meta.ErrConflict)
	}
	stored.UID, stored.Config, stored.Schemas, stored.Revision = t.UID, t.Config, evolution.Shared(t.Schemas), t.Revision+1
	return stored, nil
}

// DropTable implements meta.Store. The files move to a receipt, so that an
// answer that is lost loses no file names.
func (s *Store) DropTable(ctx context.Context, name, uid string) ([]meta.File, error) {
	k := s.keysOf(name)
	t, err := s.Table(ctx, name)
	if err != nil {
		return nil, err
	}
	revision := ""
	if !meta.WriterOf(ctx).Base.IsZero() {
		revision = strconv.FormatInt(t.Revision, 10)
	}
	change := meta.NewChange(ctx, meta.ChangeDrop, name, fmt.Sprintf("%d files, %d rows", t.Stats.Files, t.Stats.Rows))
	receipt := k.receipt + newRequest()
	answer, err := s.change(ctx, s.scripts.drop, change, k, []string{
		receipt, k.tables, k.schema, k.files,
		k.config, k.stats, k.created, k.lastWrite, k.oldest, k.newest, k.version, k.units, k.open,
	}, name, uid, k.byIDDay, revision)
	switch {
	case err != nil:
		return nil, err
	case answer == "missing":
		return nil, missing(name)
	case answer == "conflict":
		return nil, fmt.Errorf("table %s: %w", name, meta.ErrConflict)
	}
	s.mirror(ctx, name)
	var texts map[string]string
	err = s.call(ctx, func(ctx context.Context) (err error) {
		texts, err = s.client.HGetAll(ctx, receipt).Result()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("files of dropped table %s, kept for ten minutes in %s: %w", name, receipt, err)
	}
	delete(texts, "")
	files, err := decodeFiles(texts)
	if err != nil {
		return nil, fmt.Errorf("files of dropped table %s: %w", name, err)
	}
	return files, s.call(ctx, func(ctx context.Context) error { return s.client.Unlink(ctx, receipt).Err() })
}

// encodeTable gives the text of Schemas and the fields of the config hash.
func encodeTable(t meta.Table) (schemas string, config []any, err error) {
	text, err := json.Marshal(evolution.Encode(t.Schemas))
	if err != nil {
		return "", nil, fmt.Errorf("schemas of table %s: %w", t.Name, err)
	}
	properties, err := json.Marshal(t.Config.Properties)
	if err != nil {
		return "", nil, fmt.Errorf("properties of table %s: %w", t.Name, err)
	}
	return string(text), []any{
		"buffer_size", t.Config.BufferSize,
		"flush_interval_seconds", t.Config.FlushIntervalSeconds,
		"retention_days", t.Config.RetentionDays,
		"backup_enabled", strconv.FormatBool(t.Config.BackupEnabled),
		"replicated", strconv.FormatBool(t.Config.Replicated),
		"properties", string(properties),
	}, nil
}

// tableReply is what Redis holds of a table.
type tableReply struct {
	schema, config, stats *redis.MapStringStringCmd
	created, lastWrite    *redis.StringCmd
}

// readTables reads those of the tables that exist, each as of one moment.
func (s *Store) readTables(ctx context.Context, names []string) ([]meta.Table, error) {
	replies := make([]tableReply, len(names))
	some := func(from, to int) error {
		return s.read(ctx, func(ctx context.Context, p redis.Pipeliner) {
			for i := from; i < to; i++ {
				replies[i] = s.askTable(ctx, p, names[i])
			}
		})
	}
	step := len(names)
	if s.cluster {
		step = 1 // each on its server
	}
	var group errgroup.Group
	group.SetLimit(readsAtOnce)
	for i := 0; i < len(names); i += step {
		group.Go(func() error { return some(i, i+step) })
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var found []meta.Table
	for i, r := range replies {
		if len(r.schema.Val()) == 0 {
			continue
		}
		t, err := r.decode(names[i])
		if err != nil {
			return nil, fmt.Errorf("table %s is damaged in redis %s: %w", names[i], s.address, err)
		}
		found = append(found, t)
	}
	return found, nil
}

func (s *Store) askTable(ctx context.Context, p redis.Pipeliner, name string) tableReply {
	k := s.keysOf(name)
	return tableReply{
		schema: p.HGetAll(ctx, k.schema), config: p.HGetAll(ctx, k.config), stats: p.HGetAll(ctx, k.stats),
		created: p.Get(ctx, k.created), lastWrite: p.Get(ctx, k.lastWrite),
	}
}

// read runs the commands that f queues, all as of one moment. A key that is
// not there is no error.
func (s *Store) read(ctx context.Context, f func(context.Context, redis.Pipeliner)) error {
	return s.call(ctx, func(ctx context.Context) error {
		_, err := s.client.TxPipelined(ctx, func(p redis.Pipeliner) error {
			f(ctx, p)
			return nil
		})
		if errors.Is(err, redis.Nil) {
			return nil
		}
		return err
	})
}

func (r tableReply) decode(name string) (meta.Table, error) {
	d := decoder{}
	schema, config, stats := r.schema.Val(), r.config.Val(), r.stats.Val()
	t := meta.Table{
		Name: name, UID: schema["uid"], Revision: d.int(schema["revision"], 64), Created: d.time(r.created.Val()),
		Config: meta.Config{
			BufferSize:           int32(d.int(config["buffer_size"], 32)),
			FlushIntervalSeconds: int32(d.int(config["flush_interval_seconds"], 32)),
			RetentionDays:        int32(d.int(config["retention_days"], 32)),
			BackupEnabled:        config["backup_enabled"] == "true",
			Replicated:           config["replicated"] == "true",
		},
		Stats: meta.Stats{
			Rows: d.int(stats["record_count"], 64), Files: d.int(stats["file_count"], 64), Bytes: d.int(stats["size_bytes"], 64),
			Oldest: d.time(stats["oldest_record"]), Newest: d.time(stats["newest_record"]), LastWrite: d.time(r.lastWrite.Val()),
		},
	}
	var versions []evolution.Version
	d.json(schema["schemas"], &versions)
	schemas, err := evolution.Decode(versions)
	d.keep(err)
	t.Schemas = schemas
	d.json(config["properties"], &t.Config.Properties)
	return t, d.err
}

// decoder reads values that are kept as text, and remembers the first that is
// damaged. A missing one is zero.
type decoder struct{ err error }

func (d *decoder) keep(err error) {
	if d.err == nil {
		d.err = err
	}
}

func (d *decoder) int(text string, bits int) int64 {
	if text == "" {
		return 0
	}
	n, err := strconv.ParseInt(text, 10, bits)
	d.keep(err)
	return n
}

func (d *decoder) time(text string) time.Time {
	t, err := meta.ParseTime(text)
	d.keep(err)
	return t
}

func (d *decoder) json(text string, value any) {
	if text != "" {
		d.keep(json.Unmarshal([]byte(text), value))
	}
}
