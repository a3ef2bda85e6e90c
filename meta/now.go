package meta

import (
	"context"
	"time"
)

// Now is the time by the clock of the catalog, as the heartbeats tell it, and by
// that of this machine if no node is in service. It can be behind by as long as
// the answer took.
func Now(ctx context.Context, s interface {
	Nodes(ctx context.Context) ([]Node, error)
}) (time.Time, error) {
	nodes, err := s.Nodes(ctx)
	if err != nil {
		return time.Time{}, err
	}
	for _, n := range nodes {
		if !n.Left {
			return n.LastHeartbeat.Add(n.Age), nil
		}
	}
	return time.Now(), nil
}
