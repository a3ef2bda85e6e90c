package backup

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"skein/internal/fault"
	"skein/meta"
)

// Prefix is where the copies of the index are in the backup store. No table
// has such a name, so no file is there.
const Prefix = "metadata/tables/"

const (
	copySuffix   = ".json.zst"
	copyBytesMax = 16 << 30 // of one copy, compressed
)

// copyKey orders by time.
func copyKey(table string, at time.Time) string {
	return fmt.Sprintf("%s%s/%s/%019d%s", Prefix, table, at.UTC().Format(time.DateOnly), at.UnixNano(), copySuffix)
}

// parseCopyKey reads what copyKey wrote.
func parseCopyKey(key string) (table string, at time.Time, ok bool) {
	parts := strings.Split(strings.TrimPrefix(key, Prefix), "/")
	if len(parts) != 3 {
		return "", time.Time{}, false
	}
	number, found := strings.CutSuffix(parts[2], copySuffix)
	ns, err := strconv.ParseInt(number, 10, 64)
	return parts[0], time.Unix(0, ns).UTC(), found && err == nil
}

// record copies the table's index to the backup store, and tells its version.
func (s *Service) record(ctx context.Context, table string) (version int64, err error) {
	x, err := s.take(ctx, table)
	if err != nil {
		return 0, err
	}
	defer x.remove()
	return x.version, s.save(ctx, x)
}

// copies yields the copies of a table's index, the oldest first; of all tables
// if the name is empty.
func (s *Service) copies(ctx context.Context, table string) ([]string, error) {
	prefix := Prefix
	if table != "" {
		prefix += table + "/"
	}
	var keys []string
	for info, err := range s.Spare.List(ctx, prefix) {
		if err != nil {
			return nil, fmt.Errorf("copies of the index: %w", err)
		}
		if _, _, ok := parseCopyKey(info.Key); ok {
			keys = append(keys, info.Key)
		}
	}
	return keys, nil
}

// copyAt is the newest copy of the table's index that is not later than at.
// The caller removes it.
func (s *Service) copyAt(ctx context.Context, table string, at time.Time) (*index, error) {
	keys, err := s.copies(ctx, table)
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("table %q: %w; the backup does not know it either", table, meta.ErrTableNotFound)
	}
	_, oldest, _ := parseCopyKey(keys[0])
	for i := len(keys) - 1; i >= 0; i-- {
		if _, made, _ := parseCopyKey(keys[i]); !made.After(at) {
			return s.fetch(ctx, keys[i])
		}
	}
	return nil, fault.Newf(fault.NotFound, "table %s at %s: the index was not copied then; the oldest copy is of %s",
		table, at.Format(time.RFC3339), oldest.Format(time.RFC3339Nano))
}

// prune deletes copies that are older than the grace time: files that they
// name may be gone. The newest stays.
func (s *Service) prune(ctx context.Context, table string) error {
	keys, err := s.copies(ctx, table)
	if err != nil || len(keys) == 0 {
		return err
	}
	for _, key := range keys[:len(keys)-1] {
		if _, made, _ := parseCopyKey(key); time.Since(made) < s.o.Grace {
			break
		}
		if err := s.Spare.Delete(ctx, key); err != nil {
			return err
		}
	}
	return nil
}

// History tells which moments a table can go back to.
type History struct {
	Table          string
	Exists         bool // in the catalog
	Copies         int
	Oldest, Newest time.Time
}

// histories are those of all tables that the catalog or the backup know, by
// name.
func (s *Service) histories(ctx context.Context) (map[string]*History, error) {
	tables, err := s.Catalog.Tables(ctx)
	if err != nil {
		return nil, err
	}
	all := map[string]*History{}
	for _, t := range tables {
		all[t.Name] = &History{Table: t.Name, Exists: true}
	}
	keys, err := s.copies(ctx, "")
	if err != nil {
		return nil, err
	}
	for _, key := range keys {
		name, at, _ := parseCopyKey(key)
		h := all[name]
		if h == nil {
			h = &History{Table: name}
			all[name] = h
		}
		if h.Copies++; h.Copies == 1 {
			h.Oldest = at
		}
		h.Newest = at
	}
	return all, nil
}

// historyFirst is how long after its start a node makes the first copies.
const historyFirst = time.Minute

// leaseOver is how much longer than its interval the lease of the copies is
// held, so that one node does them as long as it lives.
const leaseOver = time.Minute

// Keep copies the index of tables with BackupEnabled from time to time, until
// ctx ends. One node at a time does so.
func (s *Service) Keep(ctx context.Context) {
	known := map[string]int64{} // version of the last copy, by UID
	for wait := min(historyFirst, s.o.HistoryEvery); ; wait = s.o.HistoryEvery {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			release, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			_ = s.Lease.Release(release) // it ends by itself
			cancel()
			return
		}
		if _, held, err := s.Lease.Acquire(ctx, s.o.HistoryEvery+leaseOver); err != nil || !held {
			continue
		}
		if err := s.keep(ctx, known); err != nil && ctx.Err() == nil {
			s.Log.Warn("index is not copied to the backup", "error", err)
		}
	}
}

func (s *Service) keep(ctx context.Context, known map[string]int64) error {
	tables, err := s.tables(ctx, "", func(t *meta.Table) bool { return t.Config.BackupEnabled })
	errs := []error{err}
	for _, t := range tables {
		version, err := s.Catalog.Version(ctx, t.Name)
		if err != nil || known[t.UID] == version {
			continue // dropped meanwhile, or as it was
		}
		if version, err = s.record(ctx, t.Name); err == nil {
			known[t.UID] = version
			err = s.prune(ctx, t.Name)
		}
		if err != nil && !gone(err) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// dropTimeout bounds what a drop waits for the backup.
const dropTimeout = 10 * time.Second

// Guard is the catalog, but copies the index of a table with BackupEnabled
// before it is dropped. A backup store that does not answer stops no drop.
func (s *Service) Guard() meta.Store { return &guarded{Store: s.Catalog, s: s} }

type guarded struct {
	meta.Store
	s *Service
}

// DropTable implements meta.Store.
func (g *guarded) DropTable(ctx context.Context, name, uid string) ([]meta.File, error) {
	if t, err := g.Table(ctx, name); err == nil && t.UID == uid && t.Config.BackupEnabled {
		limited, cancel := context.WithTimeout(ctx, dropTimeout)
		defer cancel()
		if _, err := g.s.record(limited, name); err != nil {
			g.s.Log.Warn("table is dropped without a last copy of its index", "table", name, "error", err)
		}
	}
	return g.Store.DropTable(ctx, name, uid)
}
