//go:build duckdb_arrow

package server

import (
	"context"
	"time"

	"skein/coordinator"
	"skein/worker"

	nodev1 "skein/proto/node/v1"
)

// localWorker is this node's worker as its own coordinator sees it.
type localWorker struct {
	*worker.Worker
	*worker.Runner
	stats func(window time.Duration) *nodev1.StatsResponse
}

var _ coordinator.Worker = (*localWorker)(nil)

// Ready implements coordinator.Worker.
func (l *localWorker) Ready(ctx context.Context) error { return ctx.Err() }

// Stats implements coordinator.Worker.
func (l *localWorker) Stats(_ context.Context, window time.Duration) (*nodev1.StatsResponse, error) {
	return l.stats(window), nil
}
