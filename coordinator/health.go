//go:build duckdb_arrow

package coordinator

import (
	"context"
	"fmt"
	"time"

	"skein/internal/fault"
)

// healthTimeout bounds each component's check.
const healthTimeout = 5 * time.Second

// States of a component and of the whole.
const (
	Healthy   = "healthy"
	Degraded  = "degraded"
	Unhealthy = "unhealthy"
)

// Health checks the named components, or all.
func (c *Coordinator) Health(ctx context.Context, components []string) (Health, error) {
	checks := map[string]func(context.Context) (string, string){
		"redis": ping(c.Meta.Ping), "minio": ping(c.Objects.Ping), "nodes": c.nodesHealth,
	}
	if len(components) == 0 {
		components = []string{"redis", "minio", "nodes"}
	}
	h := Health{Overall: Healthy, Components: map[string]ComponentHealth{}}
	for _, name := range components {
		check, ok := checks[name]
		if !ok {
			return Health{}, fault.Newf(fault.InvalidArgument, "unknown component %q; there are redis (the catalog), minio (the objects) and nodes", name)
		}
		h.Components[name] = run(ctx, check)
	}
	for _, k := range h.Components {
		if k.Status == Unhealthy || k.Status == Degraded && h.Overall == Healthy {
			h.Overall = k.Status
		}
	}
	return h, nil
}

func run(ctx context.Context, check func(context.Context) (string, string)) ComponentHealth {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	start := time.Now()
	status, message := check(ctx)
	return ComponentHealth{Status: status, Message: message, Elapsed: time.Since(start)}
}

func ping(f func(context.Context) error) func(context.Context) (string, string) {
	return func(ctx context.Context) (string, string) {
		if err := f(ctx); err != nil {
			return Unhealthy, err.Error()
		}
		return Healthy, "ok"
	}
}

func (c *Coordinator) nodesHealth(ctx context.Context) (string, string) {
	nodes, err := c.Meta.Nodes(ctx)
	if err != nil {
		return Unhealthy, err.Error()
	}
	live, silent := 0, 0
	for _, n := range nodes {
		switch {
		case c.alive(n):
			live++
		case !n.Left:
			silent++
		}
	}
	message := fmt.Sprintf("%d alive, %d silent", live, silent)
	switch {
	case live == 0:
		return Unhealthy, message
	case silent > 0:
		return Degraded, message
	}
	return Healthy, message
}
