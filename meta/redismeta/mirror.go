package redismeta

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

const (
	mirrorRoundsMax = 3     // of one call; what changes meanwhile is the next call's
	mirrorBatch     = 1_000 // notes in one round trip
)

// enlist adds the name to tables:list of a cluster before the table is made: a
// name without a table is harmless, a table without its name would be lost.
func (s *Store) enlist(ctx context.Context, table string) error {
	if !s.cluster {
		return nil
	}
	return s.call(ctx, func(ctx context.Context) error { return s.client.SAdd(ctx, tablesKey, table).Err() })
}

// mirror brings the specification's keys of a cluster up to what was changed.
// It fails silently: the notes stay, and the next change of the table or Repair
// does it.
func (s *Store) mirror(ctx context.Context, table string) {
	if s.cluster {
		_ = s.mirrorNow(context.WithoutCancel(ctx), table)
	}
}

// Repair brings the specification's keys of a cluster up to date where a node
// died before it had done so. It does nothing outside a cluster.
func (s *Store) Repair(ctx context.Context) error {
	if !s.cluster {
		return nil
	}
	var names []string
	err := s.call(ctx, func(ctx context.Context) (err error) {
		names, err = s.client.SMembers(ctx, tablesKey).Result()
		return err
	})
	errs := []error{err}
	for _, name := range names {
		s.settleChanges(ctx, s.keysOf(name))
		errs = append(errs, s.mirrorNow(ctx, name))
	}
	return errors.Join(errs...)
}

func (s *Store) mirrorNow(ctx context.Context, table string) error {
	k := s.keysOf(table)
	for range mirrorRoundsMax {
		var dirty, stats *redis.MapStringStringCmd
		var exists *redis.IntCmd
		var created, lastWrite *redis.StringCmd
		err := s.read(ctx, func(ctx context.Context, p redis.Pipeliner) {
			dirty, stats, exists = p.HGetAll(ctx, k.tables), p.HGetAll(ctx, k.stats), p.Exists(ctx, k.schema)
			created, lastWrite = p.Get(ctx, k.created), p.Get(ctx, k.lastWrite)
		})
		if err != nil {
			return err
		}
		notes := dirty.Val()
		delete(notes, "#")
		if len(notes) == 0 {
			return nil
		}
		for fields := range slices.Chunk(slices.Collect(maps.Keys(notes)), mirrorBatch) {
			err := s.call(ctx, func(ctx context.Context) error {
				_, err := s.client.Pipelined(ctx, func(p redis.Pipeliner) error {
					for _, field := range fields {
						if field == "" {
							mirrorTable(ctx, p, table, exists.Val() == 1, stats.Val(), created.Val(), lastWrite.Val())
						} else {
							mirrorFile(ctx, p, table, field, notes[field])
						}
					}
					return nil
				})
				return err
			})
			if err != nil {
				return err
			}
			args := make([]any, 0, 2*len(fields))
			for _, field := range fields {
				args = append(args, field, notes[field])
			}
			if _, _, err := s.run(ctx, s.scripts.settled, []string{k.tables, k.schema}, args...); err != nil {
				return err
			}
		}
	}
	return nil
}

func mirrorTable(ctx context.Context, p redis.Pipeliner, table string, exists bool, stats map[string]string, created, lastWrite string) {
	t := "table:" + table + ":"
	if !exists {
		p.SRem(ctx, tablesKey, table)
		for _, key := range []string{"stats", "created_at", "last_write"} {
			p.Unlink(ctx, t+key)
		}
		return
	}
	p.SAdd(ctx, tablesKey, table)
	p.HSet(ctx, t+"stats", stats)
	p.Set(ctx, t+"created_at", created, 0)
	if lastWrite != "" {
		p.Set(ctx, t+"last_write", lastWrite, 0)
	}
}

func mirrorFile(ctx context.Context, p redis.Pipeliner, table, path, note string) {
	sign, idDay, _ := strings.Cut(note, " ")
	key := "index:table:" + table + ":id:" + idDay
	if strings.HasPrefix(sign, "+") {
		p.SAdd(ctx, key, path)
	} else {
		p.SRem(ctx, key, path)
	}
}
