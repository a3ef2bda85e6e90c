package redismeta

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"

	"skein/meta"
)

// fileRecord is a file as the index keeps it; its path is the field.
type fileRecord struct {
	ID            string `json:"id"`
	HasID         bool   `json:"has_id"`
	Day           string `json:"day"`
	SchemaVersion int    `json:"schema_version"`
	Rows          int64  `json:"rows"`
	Bytes         int64  `json:"bytes"`
	MinTime       string `json:"min_time"` // as meta.FormatTime
	MaxTime       string `json:"max_time"`
	NullTimes     bool   `json:"null_times"`
	Unit          string `json:"unit"`
	Ranges        string `json:"ranges,omitempty"` // as meta.Ranges
}

func recordOf(f meta.File) fileRecord {
	return fileRecord{
		ID: f.ID, HasID: f.HasID, Day: f.Day, SchemaVersion: f.SchemaVersion, Rows: f.Rows, Bytes: f.Bytes,
		MinTime: meta.FormatTime(f.MinTime), MaxTime: meta.FormatTime(f.MaxTime), NullTimes: f.NullTimes, Unit: f.Unit,
		Ranges: string(f.Ranges),
	}
}

func decodeFile(path, text string) (meta.File, error) {
	var d decoder
	var r fileRecord
	d.json(text, &r)
	f := meta.File{
		Path: path, ID: r.ID, HasID: r.HasID, Day: r.Day, SchemaVersion: r.SchemaVersion, Rows: r.Rows, Bytes: r.Bytes,
		MinTime: d.time(r.MinTime), MaxTime: d.time(r.MaxTime), NullTimes: r.NullTimes, Unit: r.Unit,
		Ranges: meta.Ranges(r.Ranges),
	}
	return f, d.err
}

// decodeFiles reads files by path, and orders them by it.
func decodeFiles(texts map[string]string) ([]meta.File, error) {
	files := make([]meta.File, 0, len(texts))
	for path, text := range texts {
		f, err := decodeFile(path, text)
		if err != nil {
			return nil, fmt.Errorf("file %s: %w", path, err)
		}
		files = append(files, f)
	}
	slices.SortFunc(files, func(a, b meta.File) int { return cmp.Compare(a.Path, b.Path) })
	return files, nil
}

// Commit implements meta.Store.
func (s *Store) Commit(ctx context.Context, c meta.Commit) error {
	if err := c.Validate(); err != nil {
		return err
	}
	k := s.keysOf(c.Table)
	args := []any{c.TableUID, c.Unit, meta.FormatTime(c.Time), k.byIDDay, c.By, c.IfOpen, len(c.Remove)}
	for _, path := range c.Remove {
		args = append(args, path)
	}
	for _, f := range c.Add {
		r := recordOf(f)
		text, err := json.Marshal(r)
		if err != nil {
			return fmt.Errorf("file %s: %w", f.Path, err)
		}
		args = append(args, f.Path, idDay(f), f.Rows, f.Bytes, r.MinTime, r.MaxTime, text)
	}
	defer s.mirror(ctx, c.Table)
	answer, path, err := s.fenced(ctx, s.scripts.commit, k.fence,
		[]string{k.schema, k.stats, k.files, k.version, k.units, k.open, k.oldest, k.newest, k.lastWrite}, args...)
	switch {
	case err != nil:
		return err
	case answer == "missing":
		return missing(c.Table)
	case answer == "conflict":
		return fmt.Errorf("table %s: file %s is not in the index: %w", c.Table, path, meta.ErrConflict)
	case answer == "done": // path is the node
		return c.Repeated(path)
	case answer == "closed":
		return fmt.Errorf("table %s: %w", c.Table, meta.ErrUnitNotOpen)
	}
	return nil
}

// OpenUnit implements meta.Store.
func (s *Store) OpenUnit(ctx context.Context, table, tableUID string, u meta.OpenUnit) error {
	if err := u.Validate(); err != nil {
		return err
	}
	k := s.keysOf(table)
	answer, _, err := s.run(ctx, s.scripts.open, []string{k.schema, k.units, k.open, k.version}, tableUID, u.Unit, u.Holder())
	if err == nil && answer == "missing" {
		return missing(table)
	}
	return err
}

// ForgetUnits implements meta.Store.
func (s *Store) ForgetUnits(ctx context.Context, table string, units []string) error {
	k := s.keysOf(table)
	args := make([]any, len(units))
	for i, u := range units {
		args[i] = u
	}
	_, _, err := s.run(ctx, s.scripts.forget, []string{k.units, k.version}, args...)
	return err
}

// Units implements meta.Store.
func (s *Store) Units(ctx context.Context, table string) (meta.Units, error) {
	k := s.keysOf(table)
	var version *redis.StringCmd
	var open *redis.MapStringStringCmd
	var units *redis.StringSliceCmd
	err := s.read(ctx, func(ctx context.Context, p redis.Pipeliner) {
		version, open, units = p.Get(ctx, k.version), p.HGetAll(ctx, k.open), p.HKeys(ctx, k.units)
	})
	if err != nil {
		return meta.Units{}, err
	}
	if version.Val() == "" {
		return meta.Units{}, missing(table)
	}
	u := meta.Units{Committed: make(map[string]bool, len(units.Val()))}
	for _, unit := range units.Val() {
		u.Committed[unit] = true
	}
	for unit, holder := range open.Val() {
		u.Open = append(u.Open, meta.HeldUnit(unit, holder))
	}
	slices.SortFunc(u.Open, meta.OpenUnit.Compare)
	return u, nil
}

// Version implements meta.Store.
func (s *Store) Version(ctx context.Context, table string) (int64, error) {
	var version int64
	err := s.call(ctx, func(ctx context.Context) (err error) {
		version, err = s.client.Get(ctx, s.keysOf(table).version).Int64()
		if errors.Is(err, redis.Nil) {
			return nil // a table has a version from the start
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	if version == 0 {
		return 0, missing(table)
	}
	return version, nil
}

// Listing implements meta.Store.
func (s *Store) Listing(ctx context.Context, table string) (meta.Listing, error) {
	k := s.keysOf(table)
	var version *redis.StringCmd
	var files, open *redis.MapStringStringCmd
	var units *redis.StringSliceCmd
	err := s.read(ctx, func(ctx context.Context, p redis.Pipeliner) {
		version = p.Get(ctx, k.version)
		files, open = p.HGetAll(ctx, k.files), p.HGetAll(ctx, k.open)
		units = p.HKeys(ctx, k.units)
	})
	if err != nil {
		return meta.Listing{}, err
	}
	if version.Val() == "" {
		return meta.Listing{}, missing(table)
	}
	l := meta.Listing{Units: make(map[string]bool, len(units.Val()))}
	var d decoder
	l.Files, d.err = decodeFiles(files.Val())
	l.Version = d.int(version.Val(), 64)
	for _, unit := range units.Val() {
		l.Units[unit] = true
	}
	for unit, holder := range open.Val() {
		l.Open = append(l.Open, meta.HeldUnit(unit, holder))
	}
	if d.err != nil {
		return meta.Listing{}, fmt.Errorf("index of table %s is damaged in redis %s: %w", table, s.address, d.err)
	}
	slices.SortFunc(l.Open, meta.OpenUnit.Compare)
	return l, nil
}
