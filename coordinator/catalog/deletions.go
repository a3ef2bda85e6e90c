package catalog

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"skein/internal/fault"
	"skein/meta"
	"skein/objstore"
)

// DeletionsPrefix is where the queue of deletions is in the object store. It
// lies there, and not in the catalog, so that it is not lost with that.
const DeletionsPrefix = "metadata/deletions/"

// GraceDefault is how long objects stay that left the index: longer than any
// query.
const GraceDefault = 24 * time.Hour

const (
	deletionBytesMax   = 64 << 20 // of one record
	deletionObjectsMax = 1_000    // of one record
	deletionSuffix     = ".json"
)

// Putter is an object store as the queue of deletions needs it to grow.
type Putter interface {
	Put(ctx context.Context, key string, r io.Reader, size int64) error
}

// QueueDeletions adds objects, with their tables, to the queue of those that
// are to be deleted after a while. Adding one again is harmless.
func QueueDeletions(ctx context.Context, to Putter, after time.Duration, objects map[string]string) error {
	due := time.Now().Add(after)
	for some := range slices.Chunk(slices.Sorted(maps.Keys(objects)), deletionObjectsMax) {
		record := make(map[string]string, len(some))
		for _, object := range some {
			record[object] = objects[object]
		}
		data, err := json.Marshal(record)
		if err != nil {
			return err
		}
		key := fmt.Sprintf("%s%019d_%s%s", DeletionsPrefix, due.UnixNano(), rand.Text(), deletionSuffix)
		if err := to.Put(ctx, key, bytes.NewReader(data), int64(len(data))); err != nil {
			return fmt.Errorf("queue of deletions: %w", err)
		}
	}
	return nil
}

// deletions is a durable queue of objects that are to be deleted later. Each
// record is an object whose key tells when it is due.
type deletions struct {
	store objstore.Store

	mu   sync.Mutex
	seen map[string]map[string]string // records that were read lately: they do not change
	end  *time.Timer                  // of seen
}

// Add implements retention.Later.
func (d *deletions) Add(ctx context.Context, after time.Duration, objects map[string]string) error {
	return QueueDeletions(ctx, d.store, after, objects)
}

func dueOf(key string) (time.Time, bool) {
	digits, _, ok := strings.Cut(strings.TrimPrefix(key, DeletionsPrefix), "_")
	ns, err := strconv.ParseInt(digits, 10, 64)
	return time.Unix(0, ns), ok && err == nil && strings.HasSuffix(key, deletionSuffix)
}

// records calls f with each record's key, the first due first, until f returns
// false.
func (d *deletions) records(ctx context.Context, f func(key string, due time.Time) (bool, error)) error {
	for info, err := range d.store.List(ctx, DeletionsPrefix) {
		if err != nil {
			return fmt.Errorf("queue of deletions: %w", err)
		}
		due, ok := dueOf(info.Key)
		if !ok {
			continue
		}
		if more, err := f(info.Key, due); err != nil || !more {
			return err
		}
	}
	return nil
}

// read returns a record: objects with their tables.
func (d *deletions) read(ctx context.Context, key string) (objects map[string]string, err error) {
	body, err := d.store.Get(ctx, key, 0, -1)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	data, err := io.ReadAll(io.LimitReader(body, deletionBytesMax))
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(data, &objects); err != nil {
		return nil, fault.Newf(fault.FailedPrecondition, "record %s of the queue of deletions cannot be read, delete it: %w", key, err)
	}
	return objects, nil
}

// work deletes what is due at a time and not in the index again. Nobody may add
// to the index what was there before meanwhile: still tells so, by nil, before
// each object.
func (d *deletions) work(ctx context.Context, c meta.Store, now time.Time, still func(context.Context) error, log *slog.Logger) error {
	var errs []error
	err := d.records(ctx, func(key string, due time.Time) (bool, error) {
		if due.After(now) {
			return false, nil
		}
		n, err := d.do(ctx, key, c, still)
		switch {
		case err != nil:
			errs = append(errs, err)
		case n > 0:
			log.Info("objects that left the index are deleted", "objects", n)
		}
		if errors.Is(err, meta.ErrFenced) {
			return false, nil
		}
		return ctx.Err() == nil, ctx.Err()
	})
	return errors.Join(append(errs, err)...)
}

func (d *deletions) do(ctx context.Context, key string, c meta.Store, still func(context.Context) error) (n int, err error) {
	objects, err := d.read(ctx, key)
	if err != nil {
		return 0, err
	}
	for _, table := range slices.Compact(slices.Sorted(maps.Values(objects))) {
		if err := keepIndexed(ctx, c, table, objects); err != nil {
			return 0, err
		}
	}
	for object := range objects {
		if err := still(ctx); err != nil {
			return n, err
		}
		if err := d.store.Delete(ctx, object); err != nil {
			return n, err
		}
		n++
	}
	if err := still(ctx); err != nil {
		return n, err
	}
	return n, d.store.Delete(ctx, key)
}

// keepIndexed takes the objects that a table's index names out of those to be
// deleted. A table that is gone must have been dropped.
func keepIndexed(ctx context.Context, c meta.Store, table string, objects map[string]string) error {
	err := c.ReadImage(ctx, table, func(img meta.Image) error {
		for page, err := range img.Files {
			if err != nil {
				return err
			}
			for _, f := range page {
				delete(objects, f.Path)
			}
		}
		return nil
	})
	if !errors.Is(err, meta.ErrTableNotFound) {
		return err
	}
	changes, err := c.History(ctx, meta.HistoryMax)
	if err != nil {
		return err
	}
	if !wasDropped(changes, table) {
		return fault.Newf(fault.FailedPrecondition, "objects of table %s are due to be deleted, the catalog does not know it and tells of no drop: they stay", table)
	}
	return nil
}

// wasDropped tells whether the last that the history tells of a table is its
// end.
func wasDropped(changes []meta.Change, table string) bool {
	for _, c := range changes {
		if c.Table == table {
			return c.Kind == meta.ChangeDrop
		}
	}
	return false
}
