package redismeta

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

const backupsMax = 10_000 // of one list

// Backup is a snapshot that metadata:backup:list names.
type Backup struct {
	Key string // of the object
	At  time.Time
}

// ListBackups returns the snapshots that are listed, the newest first, at most
// 10,000. The object store is the truth; the list is for people and programs
// that look for it in Redis.
func (s *Store) ListBackups(ctx context.Context) ([]Backup, error) {
	var members []redis.Z
	err := s.call(ctx, func(ctx context.Context) (err error) {
		members, err = s.client.ZRevRangeWithScores(ctx, backupsKey, 0, backupsMax-1).Result()
		return err
	})
	if err != nil {
		return nil, err
	}
	all := make([]Backup, len(members))
	for i, z := range members {
		all[i].Key, _ = z.Member.(string)
		all[i].At = time.UnixMilli(int64(z.Score)).UTC()
	}
	return all, nil
}

// AddBackup lists a snapshot, by the milliseconds of its time.
func (s *Store) AddBackup(ctx context.Context, b Backup) error {
	return s.call(ctx, func(ctx context.Context) error {
		return s.client.ZAdd(ctx, backupsKey, redis.Z{Score: float64(b.At.UnixMilli()), Member: b.Key}).Err()
	})
}

// RemoveBackups takes snapshots off the list; those not on it are no error.
func (s *Store) RemoveBackups(ctx context.Context, keys ...string) error {
	if len(keys) == 0 {
		return nil
	}
	members := make([]any, len(keys))
	for i, key := range keys {
		members[i] = key
	}
	return s.call(ctx, func(ctx context.Context) error { return s.client.ZRem(ctx, backupsKey, members...).Err() })
}

// Watch calls f after changes of the catalog, until ctx ends. It is a hint: it
// may miss changes while Redis does not answer, so who must know compares
// CatalogVersion from time to time.
func (s *Store) Watch(ctx context.Context, f func()) {
	p := s.client.Subscribe(ctx, changedTopic)
	defer func() { _ = p.Close() }()
	messages := p.Channel()
	for {
		select {
		case <-ctx.Done():
			return
		case _, ok := <-messages:
			if !ok {
				return
			}
			f()
		}
	}
}
