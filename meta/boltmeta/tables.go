package boltmeta

import (
	"context"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"skein/meta"
	"skein/meta/internal/evolution"
)

// CreateTable implements meta.Store.
func (s *Store) CreateTable(ctx context.Context, t meta.Table) error {
	if err := t.Validate(); err != nil {
		return err
	}
	t.Stats, t.Created = meta.Stats{}, t.Created.UTC()
	return s.update(ctx, func(tx *bolt.Tx) error {
		if tx.Bucket(tablesBucket).Get([]byte(t.Name)) != nil {
			return fmt.Errorf("%s: %w", t.Name, meta.ErrTableExists)
		}
		change := meta.NewChange(ctx, meta.ChangeCreate, t.Name, fmt.Sprintf("%d columns", len(t.Schema().Columns)))
		if _, err := record(ctx, tx, change); err != nil {
			return err
		}
		if err := createIndex(tx, t.Name); err != nil {
			return err
		}
		return writeTable(tx, t)
	})
}

// Table implements meta.Store.
func (s *Store) Table(ctx context.Context, name string) (t meta.Table, err error) {
	err = s.view(ctx, func(tx *bolt.Tx) error {
		t, err = readTable(tx, name)
		return err
	})
	return t, err
}

// Tables implements meta.Store.
func (s *Store) Tables(ctx context.Context) (all []meta.Table, err error) {
	err = s.view(ctx, func(tx *bolt.Tx) error {
		return tx.Bucket(tablesBucket).ForEach(func(name, data []byte) error {
			t, err := decodeTable(name, data)
			all = append(all, t)
			return err
		})
	})
	return all, err
}

// UpdateTable implements meta.Store.
func (s *Store) UpdateTable(ctx context.Context, t meta.Table) (stored meta.Table, err error) {
	err = s.update(ctx, func(tx *bolt.Tx) error {
		stored, err = readTable(tx, t.Name)
		if err != nil {
			return err
		}
		if stored.UID != t.UID || stored.Revision != t.Revision {
			return fmt.Errorf("table %s: %w", t.Name, meta.ErrConflict)
		}
		if _, err := record(ctx, tx, meta.UpdateChange(ctx, stored, t)); err != nil {
			return err
		}
		stored.Config, stored.Schemas = t.Config, evolution.Shared(t.Schemas)
		stored.Revision++
		return writeTable(tx, stored)
	})
	if err != nil {
		return meta.Table{}, err
	}
	return stored, nil
}

// DropTable implements meta.Store.
func (s *Store) DropTable(ctx context.Context, name, uid string) (files []meta.File, err error) {
	err = s.update(ctx, func(tx *bolt.Tx) error {
		t, err := readIncarnation(tx, name, uid)
		if err != nil {
			return err
		}
		change := meta.NewChange(ctx, meta.ChangeDrop, name, fmt.Sprintf("%d files, %d rows", t.Stats.Files, t.Stats.Rows))
		if _, err := record(ctx, tx, change); err != nil {
			return err
		}
		if files, err = readIndex(tx, name).readFiles(); err != nil {
			return err
		}
		if err := tx.Bucket(indexBucket).DeleteBucket([]byte(name)); err != nil {
			return err
		}
		return tx.Bucket(tablesBucket).Delete([]byte(name))
	})
	if err != nil {
		return nil, err
	}
	return files, nil
}

func readTable(tx *bolt.Tx, name string) (t meta.Table, err error) {
	data := tx.Bucket(tablesBucket).Get([]byte(name))
	if data == nil {
		return t, fmt.Errorf("%.80s: %w", name, meta.ErrTableNotFound)
	}
	return decodeTable([]byte(name), data)
}

// tableRecord is a table as the file keeps it.
type tableRecord struct {
	meta.Table
	Schemas []evolution.Version // in place of the table's
}

func decodeTable(name, data []byte) (meta.Table, error) {
	var r tableRecord
	err := decode(name, data, &r)
	if err == nil {
		if r.Table.Schemas, err = evolution.Decode(r.Schemas); err != nil {
			err = fmt.Errorf("catalog entry %q is damaged: %w", name, err)
		}
	}
	return r.Table, err
}

// readIncarnation is readTable for one incarnation of the table.
func readIncarnation(tx *bolt.Tx, name, uid string) (meta.Table, error) {
	t, err := readTable(tx, name)
	if err == nil && t.UID != uid {
		return t, fmt.Errorf("%s, made anew meanwhile: %w", name, meta.ErrTableNotFound)
	}
	return t, err
}

func writeTable(tx *bolt.Tx, t meta.Table) error {
	return put(tx.Bucket(tablesBucket), []byte(t.Name), tableRecord{t, evolution.Encode(t.Schemas)})
}
