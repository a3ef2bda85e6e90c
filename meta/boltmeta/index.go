package boltmeta

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"

	"skein/meta"
)

// Keys in the bucket of a table's index.
var (
	filesKey   = []byte("files")
	oldestKey  = []byte("oldest")
	newestKey  = []byte("newest")
	unitsKey   = []byte("units")
	openKey    = []byte("open")
	versionKey = []byte("version")
)

// index is the buckets of a table's index, valid within one transaction.
type index struct {
	root, files, oldest, newest, units, open *bolt.Bucket
}

func createIndex(tx *bolt.Tx, table string) error {
	if err := makeIndex(tx.Bucket(indexBucket), table); err != nil {
		return err
	}
	return readIndex(tx, table).grow()
}

// makeIndex makes the empty buckets of a table's index.
func makeIndex(parent *bolt.Bucket, table string) error {
	root, err := parent.CreateBucketIfNotExists([]byte(table))
	if err != nil {
		return err
	}
	for _, key := range [][]byte{filesKey, oldestKey, newestKey, unitsKey, openKey} {
		if _, err := root.CreateBucketIfNotExists(key); err != nil {
			return err
		}
	}
	return nil
}

// readIndex returns the index of a table that exists.
func readIndex(tx *bolt.Tx, table string) index {
	return indexIn(tx.Bucket(indexBucket), table)
}

func indexIn(parent *bolt.Bucket, table string) index {
	root := parent.Bucket([]byte(table))
	return index{
		root: root, files: root.Bucket(filesKey), oldest: root.Bucket(oldestKey), newest: root.Bucket(newestKey),
		units: root.Bucket(unitsKey), open: root.Bucket(openKey),
	}
}

func (x index) version() int64 {
	if v := x.root.Get(versionKey); v != nil {
		return int64(binary.BigEndian.Uint64(v))
	}
	return 0
}

// grow raises the version to the clock's microseconds at least, which is
// beyond the versions of earlier tables of the name.
func (x index) grow() error {
	v := max(x.version()+1, time.Now().UnixMicro())
	return x.root.Put(versionKey, versionValue(v))
}

func versionValue(v int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(v)) }

func (x index) readFiles() ([]meta.File, error) {
	var files []meta.File
	err := x.files.ForEach(func(path, data []byte) error {
		var f meta.File
		if err := decode(path, data, &f); err != nil {
			return err
		}
		files = append(files, f)
		return nil
	})
	return files, err
}

// add puts a file in the index and counts it.
func (x index) add(f meta.File, stats *meta.Stats) error {
	if x.files.Get([]byte(f.Path)) != nil {
		if err := x.remove(f.Path, stats); err != nil {
			return err
		}
	}
	f.MinTime, f.MaxTime = f.MinTime.UTC(), f.MaxTime.UTC()
	if err := put(x.files, []byte(f.Path), f); err != nil {
		return err
	}
	stats.Files++
	stats.Rows += f.Rows
	stats.Bytes += f.Bytes
	for bucket, t := range map[*bolt.Bucket]time.Time{x.oldest: f.MinTime, x.newest: f.MaxTime} {
		if t.IsZero() {
			continue
		}
		if err := bucket.Put(timeKey(t, f.Path), nil); err != nil {
			return err
		}
	}
	return nil
}

// remove takes a file out of the index and the count; ErrConflict if it is not
// there.
func (x index) remove(path string, stats *meta.Stats) error {
	data := x.files.Get([]byte(path))
	if data == nil {
		return fmt.Errorf("file %s is not in the index: %w", path, meta.ErrConflict)
	}
	var f meta.File
	if err := decode([]byte(path), data, &f); err != nil {
		return err
	}
	stats.Files--
	stats.Rows -= f.Rows
	stats.Bytes -= f.Bytes
	if err := x.oldest.Delete(timeKey(f.MinTime, path)); err != nil {
		return err
	}
	if err := x.newest.Delete(timeKey(f.MaxTime, path)); err != nil {
		return err
	}
	return x.files.Delete([]byte(path))
}

func timeKey(t time.Time, path string) []byte {
	return []byte(meta.FormatTime(t) + " " + path)
}

// bounds sets Oldest and Newest to those of the files that are there.
func (x index) bounds(stats *meta.Stats) (err error) {
	first, _ := x.oldest.Cursor().First()
	last, _ := x.newest.Cursor().Last()
	if stats.Oldest, err = keyTime(first); err != nil {
		return err
	}
	stats.Newest, err = keyTime(last)
	return err
}

func keyTime(key []byte) (time.Time, error) {
	text, _, _ := bytes.Cut(key, []byte(" "))
	t, err := meta.ParseTime(string(text))
	if err != nil {
		return t, fmt.Errorf("catalog entry %q is damaged: %w", key, err)
	}
	return t, nil
}

// Commit implements meta.Store.
func (s *Store) Commit(ctx context.Context, c meta.Commit) error {
	if err := c.Validate(); err != nil {
		return err
	}
	return s.update(ctx, func(tx *bolt.Tx) error {
		t, err := readIncarnation(tx, c.Table, c.TableUID)
		if err != nil {
			return err
		}
		x := readIndex(tx, c.Table)
		if at := x.units.Get([]byte(c.Unit)); at != nil {
			_, by, _ := strings.Cut(string(at), " ")
			return c.Repeated(by)
		}
		if err := fenced(ctx, tx); err != nil {
			return err
		}
		if c.IfOpen && x.open.Get([]byte(c.Unit)) == nil {
			return fmt.Errorf("table %s: %w", c.Table, meta.ErrUnitNotOpen)
		}
		if err := x.apply(c, &t.Stats); err != nil {
			return fmt.Errorf("table %s: %w", c.Table, err)
		}
		return writeTable(tx, t)
	})
}

func (x index) apply(c meta.Commit, stats *meta.Stats) error {
	for _, path := range c.Remove {
		if err := x.remove(path, stats); err != nil {
			return err
		}
	}
	for _, f := range c.Add {
		if err := x.add(f, stats); err != nil {
			return err
		}
	}
	if err := x.bounds(stats); err != nil {
		return err
	}
	if c.Time.After(stats.LastWrite) {
		stats.LastWrite = c.Time.UTC()
	}
	at := meta.FormatTime(c.Time)
	if c.By != "" {
		at += " " + c.By
	}
	if err := x.units.Put([]byte(c.Unit), []byte(at)); err != nil {
		return err
	}
	if err := x.open.Delete([]byte(c.Unit)); err != nil {
		return err
	}
	return x.grow()
}

// OpenUnit implements meta.Store.
func (s *Store) OpenUnit(ctx context.Context, table, tableUID string, u meta.OpenUnit) error {
	if err := u.Validate(); err != nil {
		return err
	}
	return s.update(ctx, func(tx *bolt.Tx) error {
		if _, err := readIncarnation(tx, table, tableUID); err != nil {
			return err
		}
		x := readIndex(tx, table)
		committed := x.units.Get([]byte(u.Unit)) != nil
		if open := x.open.Get([]byte(u.Unit)); committed || open != nil && string(open) == u.Holder() {
			return nil
		}
		if err := x.open.Put([]byte(u.Unit), []byte(u.Holder())); err != nil {
			return err
		}
		return x.grow()
	})
}

// ForgetUnits implements meta.Store.
func (s *Store) ForgetUnits(ctx context.Context, table string, units []string) error {
	return s.update(ctx, func(tx *bolt.Tx) error {
		if tx.Bucket(tablesBucket).Get([]byte(table)) == nil {
			return nil
		}
		x := readIndex(tx, table)
		known := slices.DeleteFunc(slices.Clone(units), func(u string) bool { return x.units.Get([]byte(u)) == nil })
		if len(known) == 0 {
			return nil
		}
		for _, u := range known {
			if err := x.units.Delete([]byte(u)); err != nil {
				return err
			}
		}
		return x.grow()
	})
}

// Units implements meta.Store.
func (s *Store) Units(ctx context.Context, table string) (u meta.Units, err error) {
	err = s.view(ctx, func(tx *bolt.Tx) error {
		if tx.Bucket(tablesBucket).Get([]byte(table)) == nil {
			return fmt.Errorf("%.80s: %w", table, meta.ErrTableNotFound)
		}
		u, err = readIndex(tx, table).readUnits()
		return err
	})
	return u, err
}

// readUnits returns the units, the open ones in order.
func (x index) readUnits() (meta.Units, error) {
	u := meta.Units{Committed: make(map[string]bool)}
	err := x.units.ForEach(func(unit, _ []byte) error {
		u.Committed[string(unit)] = true
		return nil
	})
	if err == nil {
		err = x.open.ForEach(func(unit, holder []byte) error {
			u.Open = append(u.Open, meta.HeldUnit(string(unit), string(holder)))
			return nil
		})
	}
	slices.SortFunc(u.Open, meta.OpenUnit.Compare)
	return u, err
}

// Version implements meta.Store.
func (s *Store) Version(ctx context.Context, table string) (version int64, err error) {
	err = s.view(ctx, func(tx *bolt.Tx) error {
		if tx.Bucket(tablesBucket).Get([]byte(table)) == nil {
			return fmt.Errorf("%.80s: %w", table, meta.ErrTableNotFound)
		}
		version = readIndex(tx, table).version()
		return nil
	})
	return version, err
}

// Listing implements meta.Store.
func (s *Store) Listing(ctx context.Context, table string) (l meta.Listing, err error) {
	err = s.view(ctx, func(tx *bolt.Tx) error {
		if _, err := readTable(tx, table); err != nil {
			return err
		}
		x := readIndex(tx, table)
		l = meta.Listing{Version: x.version()}
		if l.Files, err = x.readFiles(); err != nil {
			return err
		}
		u, err := x.readUnits()
		l.Units, l.Open = u.Committed, u.Open
		return err
	})
	return l, err
}
