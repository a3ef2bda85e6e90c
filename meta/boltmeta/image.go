package boltmeta

import (
	"context"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"skein/meta"
	"skein/meta/internal/evolution"
)

// ReadImage implements meta.Store. While f runs, the file may grow only in
// what is mapped already: a writer that needs more waits.
func (s *Store) ReadImage(ctx context.Context, table string, f func(meta.Image) error) error {
	return s.view(ctx, func(tx *bolt.Tx) error {
		t, err := readTable(tx, table)
		if err != nil {
			return err
		}
		x := readIndex(tx, table)
		img := meta.Image{Table: t, Version: x.version(), Count: t.Stats.Files, Files: func(yield func([]meta.File, error) bool) { x.pages(ctx, yield) }}
		if err := x.units.ForEach(func(unit, _ []byte) error {
			img.Units = append(img.Units, string(unit))
			return nil
		}); err != nil {
			return err
		}
		if err := x.open.ForEach(func(unit, holder []byte) error {
			img.Open = append(img.Open, meta.HeldUnit(string(unit), string(holder)))
			return nil
		}); err != nil {
			return err
		}
		return f(img)
	})
}

// pages yields the files, meta.PageMax at a time.
func (x index) pages(ctx context.Context, yield func([]meta.File, error) bool) {
	var page []meta.File
	c := x.files.Cursor()
	for path, data := c.First(); path != nil; path, data = c.Next() {
		var f meta.File
		err := decode(path, data, &f)
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			yield(nil, err)
			return
		}
		if page = append(page, f); len(page) == meta.PageMax {
			if !yield(page, nil) {
				return
			}
			page = nil
		}
	}
	if len(page) > 0 {
		yield(page, nil)
	}
}

// StageFiles implements meta.Store.
func (s *Store) StageFiles(ctx context.Context, table, stage string, files []meta.File) error {
	if err := meta.ValidateStage(table, stage, files); err != nil {
		return err
	}
	return s.update(ctx, func(tx *bolt.Tx) error {
		b, err := tx.Bucket(stagedBucket).CreateBucketIfNotExists([]byte(stage))
		if err != nil {
			return err
		}
		if err := makeIndex(b, table); err != nil {
			return err
		}
		x := indexIn(b, table)
		var stats meta.Stats
		if data := x.root.Get(statsKey); data != nil {
			if err := decode(statsKey, data, &stats); err != nil {
				return err
			}
		}
		for _, f := range files {
			if x.files.Get([]byte(f.Path)) != nil {
				continue
			}
			if err := x.add(f, &stats); err != nil {
				return err
			}
		}
		if err := x.bounds(&stats); err != nil {
			return err
		}
		return put(x.root, statsKey, stats)
	})
}

var statsKey = []byte("stats") // in the index of a stage

// DropStage implements meta.Store.
func (s *Store) DropStage(ctx context.Context, table, stage string) error {
	if err := meta.ValidateStage(table, stage, nil); err != nil {
		return err
	}
	return s.update(ctx, func(tx *bolt.Tx) error {
		b := tx.Bucket(stagedBucket).Bucket([]byte(stage))
		if b == nil || b.Bucket([]byte(table)) == nil {
			return nil
		}
		return b.DeleteBucket([]byte(table))
	})
}

// ReplaceTable implements meta.Store.
func (s *Store) ReplaceTable(ctx context.Context, r meta.Replacement) (stored meta.Table, err error) {
	if err := r.Validate(); err != nil {
		return stored, err
	}
	err = s.update(ctx, func(tx *bolt.Tx) error {
		version, revision := int64(0), int64(0)
		if tx.Bucket(tablesBucket).Get([]byte(r.Table.Name)) != nil {
			old, err := readTable(tx, r.Table.Name)
			if err != nil {
				return err
			}
			version, revision = readIndex(tx, r.Table.Name).version(), old.Revision
		}
		if version != r.Version || revision != r.Revision {
			return fmt.Errorf("table %s: %w", r.Table.Name, meta.ErrConflict)
		}
		if _, err := record(ctx, tx, r.Change); err != nil {
			return err
		}
		stored = r.Stored()
		return replace(tx, r, &stored)
	})
	if err != nil {
		return meta.Table{}, err
	}
	return stored, nil
}

// replace puts the stage to where the index is.
func replace(tx *bolt.Tx, r meta.Replacement, t *meta.Table) error {
	lastWrite := t.Stats.LastWrite
	if err := moveStage(tx, r.Stage, t); err != nil {
		return err
	}
	if t.Stats.Files != r.Count {
		return fmt.Errorf("table %s: %w", t.Name, meta.ErrStageGone)
	}
	t.Stats.LastWrite = lastWrite
	x := readIndex(tx, t.Name)
	if err := x.root.Put(versionKey, versionValue(r.Version)); err != nil {
		return err
	}
	for _, u := range r.Units {
		if err := x.units.Put([]byte(u), []byte(meta.FormatTime(r.Change.At))); err != nil {
			return err
		}
	}
	for _, u := range r.Open {
		if err := x.open.Put([]byte(u.Unit), []byte(u.Holder())); err != nil {
			return err
		}
	}
	if err := x.grow(); err != nil {
		return err
	}
	t.Schemas = evolution.Shared(t.Schemas)
	return writeTable(tx, *t)
}

// moveStage makes a stage the index of the table, an empty one if there is no
// stage, and reads its statistics.
func moveStage(tx *bolt.Tx, stage string, t *meta.Table) error {
	name, indexes := []byte(t.Name), tx.Bucket(indexBucket)
	if indexes.Bucket(name) != nil {
		if err := indexes.DeleteBucket(name); err != nil {
			return err
		}
	}
	staged := tx.Bucket(stagedBucket).Bucket([]byte(stage))
	if staged == nil || staged.Bucket(name) == nil {
		t.Stats = meta.Stats{}
		return makeIndex(indexes, t.Name)
	}
	if err := decode(statsKey, staged.Bucket(name).Get(statsKey), &t.Stats); err != nil {
		return err
	}
	return staged.MoveBucket(name, indexes)
}
