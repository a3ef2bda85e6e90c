package gateway

import (
	"context"
	"time"

	"skein/internal/fault"
	olapv1 "skein/proto/olap/v1"
)

// Pool is what the front door asks of the connections to the object stores.
type Pool interface {
	// State tells which store is in charge.
	State(ctx context.Context) PoolState
	// Tune changes what is given, on all nodes, and returns all values;
	// InvalidArgument if one is not in its range, and then nothing is changed.
	Tune(ctx context.Context, change PoolTuning) (PoolTuning, error)
}

// PoolState is what a node sees of the object stores.
type PoolState struct {
	Mode                string // primary, backup, returning
	PrimaryUp, BackupUp bool
	Returning           int64 // files that must return to the primary store
}

// PoolTuning is what can be changed while a node runs; nil stays as it is.
type PoolTuning struct {
	HedgeShare                                     *float64
	HedgeMin, TryTimeout, StallTimeout, PutTimeout *time.Duration
	BreakAfter                                     *int
}

var errNoPool = fault.New(fault.FailedPrecondition, "this node has no pool of object stores: it needs several --s3, or --s3-backup")

// SetPool implements AdminService.
func (s *Service) SetPool(ctx context.Context, req *olapv1.SetPoolRequest) (*olapv1.SetPoolResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opts.RequestTimeout)
	defer cancel()
	if s.opts.Pool == nil {
		return nil, fault.Status(errNoPool)
	}
	change := PoolTuning{
		HedgeShare: req.HedgeShare, HedgeMin: durationOf(req.HedgeMinMs), TryTimeout: durationOf(req.TryTimeoutMs),
		StallTimeout: durationOf(req.StallTimeoutMs), PutTimeout: durationOf(req.PutTimeoutMs),
	}
	if req.BreakAfter != nil {
		n := int(req.GetBreakAfter())
		change.BreakAfter = &n
	}
	now, err := s.opts.Pool.Tune(ctx, change)
	if err != nil {
		return nil, fault.Status(err)
	}
	return &olapv1.SetPoolResponse{
		HedgeShare: *now.HedgeShare, HedgeMinMs: now.HedgeMin.Milliseconds(), TryTimeoutMs: now.TryTimeout.Milliseconds(),
		StallTimeoutMs: now.StallTimeout.Milliseconds(), PutTimeoutMs: now.PutTimeout.Milliseconds(), BreakAfter: int32Of(*now.BreakAfter),
	}, nil
}

// durationMaxMS keeps a number of milliseconds from overflowing.
const durationMaxMS = int64(24 * time.Hour / time.Millisecond)

func durationOf(ms *int64) *time.Duration {
	if ms == nil {
		return nil
	}
	d := time.Duration(min(max(*ms, -1), durationMaxMS)) * time.Millisecond
	return &d
}
