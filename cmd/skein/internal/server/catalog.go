//go:build duckdb_arrow

package server

import (
	"context"
	"errors"
	"sync"
	"time"

	"skein/coordinator/catalog"
	"skein/gateway"
	"skein/internal/fault"
	"skein/meta/redismeta"
	"skein/objstore"
	"skein/objstore/transfer"
)

// embeddedTTL is of the leader's lock where there is one node: it is written to
// the disk with each renewal.
const embeddedTTL = 10 * time.Minute

// openCatalog makes what looks after the catalog; runCatalog begins it.
func (s *Server) openCatalog(ctx context.Context, node string) (*catalog.Service, error) {
	c := s.config.Catalog
	o := catalog.Options{Node: node, Dir: s.config.dir("spill"), SnapshotEvery: c.SnapshotEvery, SnapshotKeep: c.SnapshotKeep, Plain: c.SnapshotPlain,
		TidyEvery: c.TidyEvery, Grace: c.Grace, PollEvery: c.PollEvery, LeadTTL: c.LeadTTL, CheckEvery: c.CheckEvery}
	d := catalog.Deps{Catalog: s.catalog, Objects: s.kept.objects, Reload: s.reload, Check: s.timedCheck, Log: s.log,
		Flush: func(ctx context.Context) error { return s.coord.Flush(ctx, "") },
		Fail: func(err error) {
			select {
			case s.failed <- err:
			default: // it fails already
			}
		}}
	if s.kept.redis == nil {
		if o.LeadTTL == 0 {
			o.LeadTTL = embeddedTTL
		}
		return catalog.New(ctx, d, o)
	}
	d.List, d.Leader, d.Watch = backupList{s.kept.redis}, s.kept.redis.Register("cluster:leader"), s.kept.redis.Watch
	if s.kept.backups != nil {
		d.Spare, d.Keep = s.kept.pool.Backup(), s.kept.bringBack
	}
	return catalog.New(ctx, d, o)
}

// runCatalog looks after the catalog until the server stops.
func (s *Server) runCatalog() {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { s.keeper.Run(ctx) })
	s.onStop(func(context.Context) error { cancel(); running.Wait(); return nil })
}

// reload drops what this node has read from the catalog.
func (s *Server) reload(ctx context.Context, restored bool) error {
	if !restored {
		return nil // what is kept is compared with the tables' own versions
	}
	err := s.coord.Reload(ctx)
	if s.worker != nil {
		err = errors.Join(err, s.worker.Relearn(ctx))
	}
	return err
}

// bringBack copies an object from the backup store, if that has it, and stops
// the deletion that it may wait for there.
func (s *stores) bringBack(ctx context.Context, key string) (bool, error) {
	from, to := s.pool.Backup(), s.pool.Primary()
	if _, err := from.Stat(ctx, key); err != nil {
		if errors.Is(err, objstore.ErrNotFound) {
			return false, nil
		}
		return false, err
	}
	if err := transfer.QueueCopies(ctx, s.backups.queue, key); err != nil {
		return false, err
	}
	_, err := transfer.Copy(ctx, from, to, key)
	if fault.CodeOf(err) == fault.NotFound {
		return false, nil
	}
	return err == nil, err
}

// backupList is metadata:backup:list.
type backupList struct{ *redismeta.Store }

// ListBackups implements catalog.List.
func (l backupList) ListBackups(ctx context.Context) ([]catalog.Backup, error) {
	listed, err := l.Store.ListBackups(ctx)
	all := make([]catalog.Backup, len(listed))
	for i, b := range listed {
		all[i] = catalog.Backup(b)
	}
	return all, err
}

// AddBackup implements catalog.List.
func (l backupList) AddBackup(ctx context.Context, b catalog.Backup) error {
	return l.Store.AddBackup(ctx, redismeta.Backup(b))
}

// tellLoss makes the health check of Redis tell that the catalog was lost.
func (s *Server) tellLoss(o *gateway.Options) {
	describe := o.Details["redis"]
	if describe == nil {
		return
	}
	o.Details["redis"] = func(ctx context.Context) (bool, string) {
		if err := s.keeper.Lost(); err != nil {
			return true, err.Error()
		}
		return describe(ctx)
	}
}
