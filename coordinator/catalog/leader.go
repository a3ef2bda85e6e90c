package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"skein/internal/fault"
	"skein/meta"
	"skein/meta/lead"
	"skein/meta/retention"
	"skein/meta/snapshot"
)

// Leading tells who leads.
type Leading struct {
	Node  string    `json:"node"`
	Since time.Time `json:"since"`
	Term  int64     `json:"term"` // grows with each election
}

// LeaderNow returns who was elected last; none if nobody ever was.
func (s *Service) LeaderNow(ctx context.Context) (l Leading, err error) {
	if s.Leader == nil {
		return Leading{Node: s.o.Node}, nil
	}
	_, text, err := s.Leader.Load(ctx)
	if err != nil || text == "" {
		return l, err
	}
	if err := json.Unmarshal([]byte(text), &l); err != nil {
		return l, fmt.Errorf("leader: %w", err)
	}
	return l, nil
}

// announce tells the others who leads.
func (s *Service) announce(ctx context.Context) error {
	if s.Leader == nil {
		return nil
	}
	text, err := json.Marshal(Leading{Node: s.o.Node, Since: time.Now().UTC(), Term: meta.WriterOf(ctx).Token})
	if err != nil {
		return err
	}
	version, _, err := s.Leader.Load(ctx)
	if err == nil {
		_, err = s.Leader.Swap(ctx, version, string(text))
	}
	return err
}

// job is something that the leader does from time to time.
type job struct {
	name  string
	every time.Duration
	run   func(ctx context.Context) error
	next  time.Time
}

// retryAfter is how soon a job that failed is tried again, at most.
const retryAfter = time.Minute

// lead does the leader's work until ctx ends. Its writes are fenced.
func (s *Service) lead(ctx context.Context) {
	if err := s.announce(ctx); err != nil && ctx.Err() == nil {
		s.Log.Warn("leader is not announced", "error", err)
	}
	now := time.Now()
	jobs := []job{
		{name: "snapshot", every: s.o.SnapshotEvery, run: s.keepSnapshots, next: now},
		{name: "retention", every: s.o.TidyEvery, run: s.tidy, next: now},
		{name: "check", every: s.o.CheckEvery, run: s.Check, next: now.Add(s.o.CheckEvery)},
	}
	for ctx.Err() == nil {
		wake := time.Now().Add(time.Hour)
		for i := range jobs {
			j := &jobs[i]
			if j.run == nil || j.every < 0 {
				continue
			}
			if !time.Now().Before(j.next) {
				s.do(ctx, j)
			}
			if j.next.Before(wake) {
				wake = j.next
			}
		}
		select {
		case <-time.After(time.Until(wake)):
		case <-ctx.Done():
		}
	}
}

func (s *Service) do(ctx context.Context, j *job) {
	err := s.usable(ctx)
	if err == nil {
		err = j.run(ctx)
	}
	j.next = time.Now().Add(j.every)
	switch {
	case err == nil || ctx.Err() != nil:
	case errors.Is(err, meta.ErrLocked):
		j.next = time.Now().Add(min(retryAfter, j.every))
	default:
		j.next = time.Now().Add(min(retryAfter, j.every))
		s.Log.Warn("work of the leader", "job", j.name, "error", err)
	}
}

// usable refuses, by FailedPrecondition, work on a catalog that was lost: one
// that lies behind its newest snapshot, or did not come from there. What such a
// catalog does not name is not to be deleted, and a snapshot of it would take
// the place of a good one.
func (s *Service) usable(ctx context.Context) error {
	if err := s.Lost(); err != nil {
		return err
	}
	newest, ok, err := s.newest(ctx)
	if err != nil || !ok {
		return err
	}
	now, err := s.state(ctx)
	if err != nil || now.version == newest.version && !now.another(newest.state) {
		return err
	}
	changes, err := s.changes(ctx, newest.state, now)
	if err != nil || now.version.Compare(newest.version) >= 0 && lost(newest.state, now, changes) == nil {
		return err
	}
	return fault.Newf(fault.FailedPrecondition,
		"the catalog has version %s and does not come from its newest snapshot, %s: it was lost; run skein meta restore --latest --newer", now.version, newest.version)
}

// keepSnapshots makes a snapshot if the newest is old, and removes old ones.
func (s *Service) keepSnapshots(ctx context.Context) error {
	newest, ok, err := s.newest(ctx)
	if err != nil {
		return err
	}
	age := time.Since(newest.At) // negative by a clock that was wrong
	if !ok || age < 0 || age >= s.o.SnapshotEvery*9/10 {
		if _, err := s.Snapshot(ctx, nil); err != nil {
			return err
		}
	}
	now, err := s.now(ctx)
	if err != nil {
		return err
	}
	return s.prune(ctx, now)
}

// prune removes snapshots that are too old, and brings the catalog's list of
// them up to date.
func (s *Service) prune(ctx context.Context, now time.Time) error {
	all, err := s.Snapshots(ctx)
	if err != nil {
		return err
	}
	keys := make([]string, len(all))
	for i, one := range all {
		keys[i] = one.Key
	}
	expired := snapshot.Expired(keys, now, s.o.SnapshotKeep, s.o.SnapshotLeast)
	if len(expired) > 0 { // nobody restores one of them
		if err := s.held(ctx, func(ctx context.Context, h *lead.Held) error { return s.deleteSnapshots(ctx, expired, h.Still) }); err != nil {
			return err
		}
	}
	if s.List == nil {
		return nil
	}
	listed, err := s.List.ListBackups(ctx)
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for _, one := range all {
		there[one.Key] = !slices.Contains(expired, one.Key)
	}
	var remove []string
	for _, b := range listed {
		if !there[b.Key] {
			remove = append(remove, b.Key)
		}
		delete(there, b.Key)
	}
	for key, ok := range there {
		if at, _ := snapshot.ParseKey(key); ok {
			if err := s.List.AddBackup(ctx, Backup{Key: key, At: at}); err != nil {
				return err
			}
		}
	}
	return s.List.RemoveBackups(ctx, remove...)
}

// deleteSnapshots asks still before each.
func (s *Service) deleteSnapshots(ctx context.Context, keys []string, still func(context.Context) error) error {
	for _, key := range keys {
		for _, store := range s.stores() {
			if err := still(ctx); err != nil {
				return err
			}
			if err := store.Delete(ctx, key); err != nil {
				return err
			}
		}
	}
	return nil
}

// tidy takes days that have ended out of the index, and deletes the objects of
// those that ended a while ago.
func (s *Service) tidy(ctx context.Context) error {
	now, err := s.now(ctx)
	if err != nil {
		return err
	}
	tables, err := s.Catalog.Tables(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, t := range tables {
		if t.Config.RetentionDays <= 0 {
			continue
		}
		r, err := retention.Run(ctx, s.Catalog, s.deletions, t.Name, retention.Options{Now: now, Grace: s.o.Grace})
		if err != nil && !errors.Is(err, meta.ErrTableNotFound) {
			errs = append(errs, err)
		}
		if r.Files > 0 {
			s.Log.Info("old days left the index", "table", r.Table, "days", len(r.Days), "files", r.Files, "rows", r.Rows, "bytes", r.Bytes)
		}
	}
	errs = append(errs, s.held(ctx, func(ctx context.Context, h *lead.Held) error {
		return s.deletions.work(ctx, s.Catalog, now, h.Still, s.Log)
	}))
	return errors.Join(errs...)
}

const clockOffMax = time.Hour // of a node that ends days and deletes objects

// now is the time by the catalog's clock, as far as a node that lives tells it.
// It refuses, by FailedPrecondition, a clock of this node that is far from
// that: days that have not ended would leave the index, and be deleted.
func (s *Service) now(ctx context.Context) (time.Time, error) {
	now, err := meta.Now(ctx, s.Catalog)
	if err != nil {
		return now, err
	}
	return now, s.clock(time.Now(), now)
}

func (s *Service) clock(mine, now time.Time) error {
	off := mine.Sub(now)
	if off.Abs() <= clockOffMax {
		return nil
	}
	return fault.Newf(fault.FailedPrecondition, "the clock of this node is %s off that of the catalog: set it; until then no days end and nothing is deleted", off.Round(time.Second))
}
