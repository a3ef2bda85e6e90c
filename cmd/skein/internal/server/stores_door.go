package server

import (
	"context"
	"fmt"
	"strings"
	"time"

	"skein/gateway"
	"skein/objstore/pool"
)

// gatewayOptions give the front door what belongs to the stores.
func (s *stores) gatewayOptions() gateway.Options {
	o := gateway.Options{Details: map[string]func(context.Context) (bool, string){}}
	if s.redis != nil {
		o.Details["redis"] = s.describeRedis
	}
	if s.pool != nil {
		o.Details["minio"] = s.describeObjects
		o.Pool = poolDoor{s.pool}
	}
	if s.backups != nil {
		o.Backups = s.backups.service
	}
	return o
}

func (s *stores) describeRedis(context.Context) (bool, string) {
	n := s.redis.Stats()
	return false, fmt.Sprintf("%s; %d connections, %d idle, %d timeouts", s.redis.Shape(), n["total_conns"], n["idle_conns"], n["timeouts"])
}

// describeObjects is such as "primary is in charge; primary: 1 of 1 endpoints
// (0.4 ms); backup: 1 of 1 endpoints (0.6 ms); 0 files wait for the backup".
func (s *stores) describeObjects(ctx context.Context) (degraded bool, message string) {
	st := s.pool.Status(ctx)
	parts := []string{string(st.State.Mode) + " is in charge"}
	if st.State.Mode != pool.Primary {
		degraded = true
		parts[0] += " (" + st.State.Reason + ")"
	}
	for _, name := range []string{"primary", "backup"} {
		healthy, total, sum := 0, 0, time.Duration(0)
		for _, e := range st.Endpoints {
			if e.Set != name {
				continue
			}
			if total++; e.Healthy {
				healthy++
				sum += e.Latency
			}
		}
		if total == 0 {
			continue
		}
		degraded = degraded || healthy < total
		part := fmt.Sprintf("%s: %d of %d endpoints", name, healthy, total)
		if healthy > 0 {
			part += fmt.Sprintf(" (%.1f ms)", (sum/time.Duration(healthy)).Seconds()*1000)
		}
		if s.rooms != nil {
			free, refusals := s.rooms.now(name)
			if free != "" {
				part += ", " + free
			}
			degraded = degraded || len(refusals) > 0
			parts = append(parts, refusals...)
		}
		parts = append(parts, part)
	}
	if st.Pending > 0 {
		parts = append(parts, fmt.Sprintf("%d files must return to the primary", st.Pending))
	}
	if s.backups != nil {
		if waiting, parked, err := s.backups.queue.Len(ctx); err == nil {
			parts = append(parts, fmt.Sprintf("%d files wait for the backup, %d are parked", waiting, parked))
		}
	}
	return degraded, strings.Join(parts, "; ")
}

// poolDoor is the pool as the front door knows it.
type poolDoor struct{ p *pool.Pool }

// State implements gateway.Pool.
func (d poolDoor) State(ctx context.Context) gateway.PoolState {
	st := d.p.Status(ctx)
	return gateway.PoolState{Mode: string(st.State.Mode), PrimaryUp: st.PrimaryUp, BackupUp: st.BackupUp, Returning: st.Pending}
}

// Tune implements gateway.Pool.
func (d poolDoor) Tune(ctx context.Context, c gateway.PoolTuning) (gateway.PoolTuning, error) {
	t, err := d.p.Tune(ctx, func(t *pool.Tuning) {
		set(&t.HedgeShare, c.HedgeShare)
		set(&t.HedgeMin, c.HedgeMin)
		set(&t.TryTimeout, c.TryTimeout)
		set(&t.StallTimeout, c.StallTimeout)
		set(&t.PutTimeout, c.PutTimeout)
		set(&t.BreakAfter, c.BreakAfter)
	})
	if err != nil {
		return gateway.PoolTuning{}, err
	}
	return gateway.PoolTuning{HedgeShare: &t.HedgeShare, HedgeMin: &t.HedgeMin, TryTimeout: &t.TryTimeout,
		StallTimeout: &t.StallTimeout, PutTimeout: &t.PutTimeout, BreakAfter: &t.BreakAfter}, nil
}

func set[T any](field *T, value *T) {
	if value != nil {
		*field = *value
	}
}
