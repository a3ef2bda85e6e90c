package boltmeta

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"skein/internal/fault"
	"skein/meta"
)

const (
	format             = "1"
	fileMode           = 0o600
	defaultLockTimeout = 3 * time.Second
	defaultKeepLeft    = 24 * time.Hour
)

// Buckets and keys at the top of the file.
var (
	tablesBucket  = []byte("tables")
	indexBucket   = []byte("index")
	nodesBucket   = []byte("nodes")
	clusterBucket = []byte("cluster")
	historyBucket = []byte("history")
	locksBucket   = []byte("locks")
	stagedBucket  = []byte("staged")
	formatKey     = []byte("format")
	catalogKey    = []byte("version")
	birthKey      = []byte("birth")
	ringKey       = []byte("ring")
)

// Options of a store.
type Options struct {
	LockTimeout time.Duration // longest wait for another process to let go of the file; 3s if zero
	KeepLeft    time.Duration // how long Nodes shows those that left; 24h if zero
}

// Store is a meta.Store in one file.
type Store struct {
	db       *bolt.DB
	path     string
	keepLeft time.Duration
}

var _ meta.Store = (*Store)(nil)

// Open opens the catalog in the file at path, or makes an empty one. The
// directory must exist. It fails with FailedPrecondition if another process
// has the file open.
func Open(path string, opts Options) (*Store, error) {
	if opts.LockTimeout == 0 {
		opts.LockTimeout = defaultLockTimeout
	}
	if opts.KeepLeft == 0 {
		opts.KeepLeft = defaultKeepLeft
	}
	db, err := bolt.Open(path, fileMode, &bolt.Options{Timeout: opts.LockTimeout, FreelistType: bolt.FreelistMapType})
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, fault.Newf(fault.FailedPrecondition,
			"catalog %s is locked: is another skein serve running on this data directory?", path)
	}
	if err != nil {
		return nil, fault.Wrap(fault.FailedPrecondition, fmt.Errorf("catalog %s: %w", path, err))
	}
	s := &Store{db: db, path: path, keepLeft: opts.KeepLeft}
	if err := s.prepare(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return s, nil
}

// prepare makes the buckets of a new file, and refuses one of another format.
func (s *Store) prepare() error {
	err := s.update(context.Background(), func(tx *bolt.Tx) error {
		for _, name := range [][]byte{tablesBucket, indexBucket, nodesBucket, clusterBucket, historyBucket, locksBucket} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		b := tx.Bucket(clusterBucket)
		if f := b.Get(formatKey); f != nil && string(f) != format {
			return fault.Newf(fault.FailedPrecondition, "catalog %s has format %s, this skein reads %s: use the skein that wrote it", s.path, f, format)
		}
		version, err := readCatalogVersion(tx)
		if err == nil {
			err = version.Compatible()
		}
		if err != nil {
			return fault.Wrap(fault.FailedPrecondition, fmt.Errorf("catalog %s: %w", s.path, err))
		}
		if err := forgetOwners(tx); err != nil {
			return err
		}
		if b.Get(birthKey) == nil {
			if err := b.Put(birthKey, []byte(rand.Text())); err != nil {
				return err
			}
		}
		return b.Put(formatKey, []byte(format))
	})
	if err != nil {
		return err
	}
	return syncDir(filepath.Dir(s.path))
}

// syncDir makes the name of a new file in the directory durable.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return fault.Wrap(fault.FailedPrecondition, err)
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Close lets go of the file.
func (s *Store) Close() error { return s.db.Close() }

// Ping tells whether the store is open.
func (s *Store) Ping(ctx context.Context) error {
	return s.view(ctx, func(*bolt.Tx) error { return nil })
}

// update runs f in a transaction that is on disk when it returns nil.
func (s *Store) update(ctx context.Context, f func(*bolt.Tx) error) error {
	return s.transact(ctx, s.db.Update, f)
}

func (s *Store) view(ctx context.Context, f func(*bolt.Tx) error) error {
	return s.transact(ctx, s.db.View, f)
}

// transact runs f by run. What goes wrong outside f is the disk's fault, or
// the store is closed.
func (s *Store) transact(ctx context.Context, run func(func(*bolt.Tx) error) error, f func(*bolt.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var ours error
	err := run(func(tx *bolt.Tx) error {
		ours = f(tx)
		return ours
	})
	if err != nil && ours == nil {
		return fault.Wrap(fault.Unavailable, fmt.Errorf("catalog %s: %w", s.path, err))
	}
	return err
}

func put(b *bolt.Bucket, key []byte, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("catalog entry %q: %w", key, err)
	}
	return b.Put(key, data)
}

func decode(key, data []byte, value any) error {
	if err := json.Unmarshal(data, value); err != nil {
		return fmt.Errorf("catalog entry %q is damaged: %w", key, err)
	}
	return nil
}
