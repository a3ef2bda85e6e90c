package catalog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"skein/internal/fault"
	"skein/meta/snapshot"
	"skein/objstore"
)

// Snapshot is one that is kept.
type Snapshot struct {
	Key   string
	At    time.Time
	Bytes int64
}

// Progress tells how far something is, for people and bars.
type Progress struct {
	Step        string // what is being done
	Done, Total int64  // Total is 0 if it is not known
}

// report may be nil.
type report func(Progress)

func (r report) tell(step string, done, total int64) {
	if r != nil {
		r(Progress{step, done, total})
	}
}

// Made is a snapshot that was just made.
type Made struct {
	Key string
	snapshot.Summary
}

// Snapshot keeps a snapshot of the whole catalog. It refuses, by
// FailedPrecondition, one that was lost: that would be the newest snapshot.
func (s *Service) Snapshot(ctx context.Context, tell func(Progress)) (Made, error) {
	now, err := s.Catalog.CatalogVersion(ctx)
	if err == nil {
		err = s.usable(ctx)
	}
	if err != nil {
		return Made{}, err
	}
	return s.snapshot(ctx, snapshot.Options{At: time.Now().UTC(), Least: now}, tell)
}

func (s *Service) snapshot(ctx context.Context, o snapshot.Options, tell func(Progress)) (Made, error) {
	o.Compress = !s.o.Plain
	if s.Pool != nil {
		o.Pool = s.Pool(ctx)
	}
	report(tell).tell("writing the snapshot", 0, 0)
	key, sum, err := snapshot.Save(ctx, anyOf{s}, s.o.Dir, s.Catalog, o)
	if err != nil {
		return Made{}, err
	}
	if s.List != nil {
		if err := s.List.AddBackup(ctx, Backup{Key: key, At: o.At}); err != nil {
			s.Log.Warn("snapshot is made and not listed yet", "key", key, "error", err) // the leader lists it
		}
	}
	s.Log.Info("snapshot of the catalog", "key", key, "version", sum.Version.String(), "tables", sum.Totals.Tables, "files", sum.Totals.Files, "bytes", sum.Size)
	return Made{key, sum}, nil
}

// anyOf puts a snapshot into the first store that takes it.
type anyOf struct{ s *Service }

// Put implements snapshot.Sink.
func (a anyOf) Put(ctx context.Context, key string, r io.Reader, size int64) error {
	var errs []error
	for _, store := range a.s.stores() {
		if again, ok := r.(io.Seeker); ok && len(errs) > 0 {
			if _, err := again.Seek(0, io.SeekStart); err != nil {
				return err
			}
		}
		err := store.Put(ctx, key, r, size)
		if err == nil {
			return nil
		}
		if errs = append(errs, err); ctx.Err() != nil {
			break
		}
		a.s.Log.Warn("a store does not take a snapshot of the catalog", "key", key, "error", err)
	}
	return errors.Join(errs...)
}

// stores are those that may hold snapshots.
func (s *Service) stores() []objstore.Store {
	if s.Spare == s.Objects {
		return []objstore.Store{s.Objects}
	}
	return []objstore.Store{s.Spare, s.Objects}
}

// Snapshots are those that are kept, the newest first.
func (s *Service) Snapshots(ctx context.Context) ([]Snapshot, error) {
	byKey := map[string]Snapshot{}
	var errs []error
	for _, store := range s.stores() {
		for info, err := range store.List(ctx, snapshot.Prefix) {
			if err != nil {
				errs = append(errs, err)
				break
			}
			if at, ok := snapshot.ParseKey(info.Key); ok {
				byKey[info.Key] = Snapshot{info.Key, at, info.Size}
			}
		}
	}
	if len(errs) == len(s.stores()) {
		return nil, fmt.Errorf("snapshots: %w", errors.Join(errs...))
	}
	var all []Snapshot
	for _, one := range byKey {
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b Snapshot) int { return b.At.Compare(a.At) })
	return all, nil
}

// headed is a snapshot with the state of the catalog that it is of.
type headed struct {
	Snapshot
	state
}

// newest is the newest snapshot that is not damaged at its begin; false if
// there is none.
func (s *Service) newest(ctx context.Context) (headed, bool, error) {
	all, err := s.Snapshots(ctx)
	if err != nil {
		return headed{}, false, err
	}
	for _, one := range all {
		of, err := s.stateOf(ctx, one.Key)
		if err == nil {
			return headed{one, of}, true, nil
		}
		if code := fault.CodeOf(err); code != fault.FailedPrecondition && code != fault.NotFound {
			return headed{}, false, err
		}
		s.Log.Warn("a snapshot of the catalog cannot be used", "key", one.Key, "error", err)
	}
	return headed{}, false, nil
}

// stateOf is that of the catalog when a snapshot was made.
func (s *Service) stateOf(ctx context.Context, key string) (state, error) {
	in, err := s.open(ctx, key)
	if err != nil {
		return state{}, err
	}
	defer in.Close()
	h, err := snapshot.ReadHeader(ctx, in)
	return state{h.Birth, h.Version}, err
}

// open opens a snapshot where it is.
func (s *Service) open(ctx context.Context, key string) (in io.ReadCloser, err error) {
	for _, store := range s.stores() {
		if _, err = store.Stat(ctx, key); err == nil {
			return store.Get(ctx, key, 0, -1)
		}
	}
	return nil, fmt.Errorf("snapshot %s: %w", key, err)
}

// find returns the snapshot that a caller means: its key, the last part of it,
// or a time, which means the newest one that is not later; empty is the newest.
func (s *Service) find(ctx context.Context, name string) (string, error) {
	if _, ok := snapshot.ParseKey(name); ok {
		return name, nil
	}
	all, err := s.Snapshots(ctx)
	if err != nil {
		return "", err
	}
	if len(all) == 0 {
		return "", fault.New(fault.NotFound, "there is no snapshot of the catalog: skein meta rebuild makes the index from the data files")
	}
	if name == "" {
		return all[0].Key, nil
	}
	at, err := time.Parse(time.RFC3339Nano, name)
	for _, one := range all {
		if err == nil && !one.At.After(at) || strings.HasSuffix(one.Key, "/"+name) {
			return one.Key, nil
		}
	}
	return "", fault.Newf(fault.NotFound, "no snapshot is called %.80q or as old: skein meta backups lists them", name)
}
