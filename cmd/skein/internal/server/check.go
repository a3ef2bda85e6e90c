//go:build duckdb_arrow

package server

import (
	"context"

	"skein/coordinator/repair"
	"skein/internal/fault"
	"skein/meta"
	"skein/meta/check"
)

// openChecks makes what compares the catalog with the object stores. It works
// on the stores themselves, below the queue of the backup.
func (s *Server) openChecks() *repair.Service {
	d := repair.Deps{Catalog: s.catalog, Primary: s.kept.objects, Log: s.log, Dir: s.config.dir("spill"),
		Usable:    func(ctx context.Context) error { return s.keeper.Usable(ctx) },
		Deletions: func(ctx context.Context) (map[string]bool, error) { return s.keeper.Queued(ctx) }}
	if s.kept.pool != nil {
		d.Primary = s.kept.pool.Primary()
	}
	if s.kept.backups != nil {
		d.Backup, d.Queues = s.kept.pool.Backup(), []repair.Queue{s.kept.backups.queue, s.kept.redis.Queue("return")}
	}
	return repair.New(d)
}

// timedCheck is the leader's check.
func (s *Server) timedCheck(ctx context.Context) error {
	o := check.Options{Who: meta.WriterOf(ctx).Who}
	if s.config.Catalog.CheckRepairs {
		o.Policy = check.All()
	}
	o.Found = func(f check.Finding) {
		s.log.Warn("damage of the catalog or its files", "kind", string(f.Kind), "finding", f.String())
	}
	r, err := s.checks.Run(ctx, o)
	if err == nil && r.Unread > 0 {
		err = fault.Newf(fault.Unavailable, "%s", r.Summary())
	}
	return err
}
