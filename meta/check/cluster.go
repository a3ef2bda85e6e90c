package check

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"skein/meta"
	"skein/meta/member"
)

const (
	roleWorker = "worker"
	ringPause  = 2 * time.Second // between two looks at the ring: nodes that come or go change it
)

// living tells the nodes that are alive, and those that may yet come back.
func (r *run) living(ctx context.Context) (alive, known map[string]meta.Node, err error) {
	nodes, err := r.Catalog.Nodes(ctx)
	alive, known = map[string]meta.Node{}, map[string]meta.Node{}
	for _, n := range nodes {
		if !n.Left && n.Age <= r.o.NodeExpiry {
			alive[n.ID] = n
		}
		if n.Age <= r.o.NodeGone {
			known[n.ID] = n
		}
	}
	return alive, known, err
}

// ring compares the hash ring with the workers that are alive, twice.
func (r *run) ring(ctx context.Context) error {
	first, err := r.ringFaults(ctx)
	if err != nil || len(first) == 0 {
		return err
	}
	if err := pause(ctx, ringPause); err != nil {
		return err
	}
	second, err := r.ringFaults(ctx)
	if err != nil {
		return err
	}
	var verdicts []*verdict
	for _, node := range slices.Sorted(maps.Keys(second)) {
		if first[node] == second[node] {
			verdicts = append(verdicts, &verdict{Finding: Finding{Kind: WrongRing, Path: node, What: second[node]}})
		}
	}
	return r.mend(ctx, nil, verdicts)
}

// ringFaults tells what is wrong with a node's points.
func (r *run) ringFaults(ctx context.Context) (map[string]string, error) {
	alive, known, err := r.living(ctx)
	if err != nil {
		return nil, err
	}
	ring, err := r.Catalog.Ring(ctx)
	if err != nil {
		return nil, err
	}
	points := map[string]map[meta.Point]bool{}
	for _, p := range ring.Points {
		if points[p.Node] == nil {
			points[p.Node] = map[meta.Point]bool{}
		}
		points[p.Node][p] = true
	}
	faults := map[string]string{}
	for node, have := range points {
		n, ok := known[node]
		switch {
		case !ok || n.Left:
			faults[node] = fmt.Sprintf("the ring has %d points of a node that is gone", len(have))
		case !slices.Contains(n.Roles, roleWorker):
			faults[node] = fmt.Sprintf("the ring has %d points of a node that is no worker", len(have))
		}
	}
	for node, n := range alive {
		if !slices.Contains(n.Roles, roleWorker) {
			continue
		}
		right := 0
		for _, p := range meta.NewRing([]string{node}).Points {
			if points[node][p] {
				right++
			}
		}
		if right < meta.VirtualNodes || len(points[node]) > right {
			faults[node] = fmt.Sprintf("the ring has %d of its %d points, and %d others", right, meta.VirtualNodes, len(points[node])-right)
		}
	}
	return faults, nil
}

// mendRing stores the ring of the workers that are alive.
func (r *run) mendRing(ctx context.Context) error {
	alive, _, err := r.living(ctx)
	if err != nil {
		return err
	}
	var ids []string
	for id, n := range alive {
		if slices.Contains(n.Roles, roleWorker) {
			ids = append(ids, id)
		}
	}
	return r.Catalog.SetRing(ctx, meta.NewRing(ids))
}

// units tells of units that are open on nodes that are gone: their rows cannot
// be read until the node, or its disk, is back.
func (r *run) units(ctx context.Context, t *tableState) error {
	if len(t.open) == 0 {
		return nil
	}
	_, known, err := r.living(ctx)
	if err != nil {
		return err
	}
	var verdicts []*verdict
	for _, u := range t.open {
		if member.IsGivenUp(u) {
			continue // queries leave its rows out, knowingly, until its node is back
		}
		if _, ok := known[u.Node]; !ok && len(verdicts) < openShown {
			verdicts = append(verdicts, &verdict{Finding: Finding{Kind: LostUnit, Table: t.Name, Path: u.Unit,
				What: fmt.Sprintf("node %s may hold rows of it in its log and is gone; queries of the table fail until the node is back, so start it with its data directory", u.Node)}})
		}
	}
	return r.mend(ctx, t, verdicts)
}
