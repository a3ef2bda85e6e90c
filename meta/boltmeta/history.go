package boltmeta

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"

	"skein/internal/fault"
	"skein/meta"
)

func readCatalogVersion(tx *bolt.Tx) (meta.Semver, error) {
	text := tx.Bucket(clusterBucket).Get(catalogKey)
	if text == nil {
		return meta.FirstVersion, nil
	}
	return meta.ParseSemver(string(text))
}

// Birth implements meta.Store.
func (s *Store) Birth(ctx context.Context) (birth string, err error) {
	err = s.view(ctx, func(tx *bolt.Tx) error {
		birth = string(tx.Bucket(clusterBucket).Get(birthKey))
		return nil
	})
	return birth, err
}

// CatalogVersion implements meta.Store.
func (s *Store) CatalogVersion(ctx context.Context) (v meta.Semver, err error) {
	err = s.view(ctx, func(tx *bolt.Tx) error {
		v, err = readCatalogVersion(tx)
		return err
	})
	return v, err
}

// History implements meta.Store.
func (s *Store) History(ctx context.Context, limit int) (changes []meta.Change, err error) {
	err = s.view(ctx, func(tx *bolt.Tx) error {
		changes, err = readHistory(tx, func(meta.Change) bool { return true }, limit)
		return err
	})
	return changes, err
}

// readHistory reads changes, the newest first, up to the first that more
// refuses.
func readHistory(tx *bolt.Tx, more func(meta.Change) bool, limit int) (changes []meta.Change, err error) {
	c := tx.Bucket(historyBucket).Cursor()
	for key, data := c.Last(); key != nil && len(changes) < limit; key, data = c.Prev() {
		var change meta.Change
		if err := decode(key, data, &change); err != nil {
			return nil, err
		}
		changes = append(changes, change)
		if !more(change) {
			break
		}
	}
	return changes, nil
}

// Record implements meta.Store.
func (s *Store) Record(ctx context.Context, c meta.Change) (recorded meta.Change, err error) {
	if err := c.Validate(); err != nil {
		return c, err
	}
	err = s.update(ctx, func(tx *bolt.Tx) error {
		recorded, err = record(ctx, tx, c)
		return err
	})
	return recorded, err
}

// record raises the catalog's version by a change, if its writer may make it.
func record(ctx context.Context, tx *bolt.Tx, c meta.Change) (meta.Change, error) {
	if err := fenced(ctx, tx); err != nil {
		return c, err
	}
	now, err := readCatalogVersion(tx)
	if err != nil {
		return c, err
	}
	base := meta.WriterOf(ctx).Base
	if !base.IsZero() && base != now {
		since, err := readHistory(tx, func(c meta.Change) bool { return c.Version.Compare(base) > 0 }, meta.HistoryMax)
		if err != nil {
			return c, err
		}
		if err := meta.ConflictSince(base, now, since, c.Table); err != nil {
			return c, err
		}
	}
	c = c.After(now, base)
	b := tx.Bucket(historyBucket)
	n, err := b.NextSequence()
	if err != nil {
		return c, err
	}
	if err := put(b, binary.BigEndian.AppendUint64(nil, n), c); err != nil {
		return c, err
	}
	if n > meta.HistoryMax {
		if err := b.Delete(binary.BigEndian.AppendUint64(nil, n-meta.HistoryMax)); err != nil {
			return c, err
		}
	}
	return c, tx.Bucket(clusterBucket).Put(catalogKey, []byte(c.Version.String()))
}

// lock is one as the file keeps it.
type lock struct {
	Owner string // empty: nobody
	Until time.Time
	Token int64
}

// Lock implements meta.Store.
func (s *Store) Lock(ctx context.Context, operation, owner string, ttl time.Duration) (token int64, err error) {
	if err := meta.ValidateLock(operation, owner, ttl); err != nil {
		return 0, err
	}
	err = s.update(ctx, func(tx *bolt.Tx) error {
		l, err := readLock(tx, operation)
		if err != nil {
			return err
		}
		now := time.Now()
		live := l.Owner != "" && now.Before(l.Until)
		if live && l.Owner != owner {
			return fmt.Errorf("%s: %w", operation, meta.ErrLocked)
		}
		if !live {
			l.Token = max(l.Token+1, now.UnixMicro())
		}
		l.Owner, l.Until, token = owner, now.Add(ttl), l.Token
		return put(tx.Bucket(locksBucket), []byte(operation), l)
	})
	if err != nil {
		return 0, err
	}
	return token, nil
}

// Unlock implements meta.Store.
func (s *Store) Unlock(ctx context.Context, operation, owner string) error {
	return s.update(ctx, func(tx *bolt.Tx) error {
		l, err := readLock(tx, operation)
		if err != nil || l.Owner != owner || owner == "" {
			return err
		}
		l.Owner = ""
		return put(tx.Bucket(locksBucket), []byte(operation), l)
	})
}

func readLock(tx *bolt.Tx, operation string) (l lock, err error) {
	if data := tx.Bucket(locksBucket).Get([]byte(operation)); data != nil {
		err = decode([]byte(operation), data, &l)
	}
	return l, err
}

// fenced tells by ErrFenced that the writer's lock has a newer owner.
func fenced(ctx context.Context, tx *bolt.Tx) error {
	w := meta.WriterOf(ctx)
	if w.Operation == "" {
		return nil
	}
	l, err := readLock(tx, w.Operation)
	if err != nil {
		return err
	}
	if l.Token > w.Token {
		return fmt.Errorf("%s: %w", w.Operation, meta.ErrFenced)
	}
	return nil
}

// forgetOwners frees the locks of the process that had the file before, and
// the stages that it left.
func forgetOwners(tx *bolt.Tx) error {
	if tx.Bucket(stagedBucket) != nil {
		if err := tx.DeleteBucket(stagedBucket); err != nil {
			return err
		}
	}
	if _, err := tx.CreateBucket(stagedBucket); err != nil {
		return err
	}
	held := map[string]lock{}
	err := tx.Bucket(locksBucket).ForEach(func(key, data []byte) error {
		var l lock
		err := decode(key, data, &l)
		if l.Owner != "" {
			l.Owner = ""
			held[string(key)] = l
		}
		return err
	})
	if err != nil {
		return fault.Wrap(fault.FailedPrecondition, err)
	}
	for key, l := range held {
		if err := put(tx.Bucket(locksBucket), []byte(key), l); err != nil {
			return err
		}
	}
	return nil
}
