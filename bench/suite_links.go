package bench

import (
	"context"
	"fmt"
	"slices"

	"skein/bench/cluster"
	"skein/bench/netlab"
	"skein/internal/fault"
)

// runLinks runs TPC-H on clusters of several sizes whose workers have slow
// links to the object store. This process must be in a network that it may
// change.
func runLinks(ctx context.Context, w *own, sizes []int) (*LinksReport, error) {
	report := &LinksReport{Workers: sizes, Mbit: w.o.Mbit}
	if !w.o.Inside {
		return report, fault.New(fault.FailedPrecondition, "run it in a network of its own, as `skein bench links` does")
	}
	if err := netlab.Build(ctx, slices.Max(sizes), w.o.Mbit); err != nil {
		return report, err
	}
	c, stop, err := w.start(ctx, cluster.Options{
		Storage: netlab.HubStorage, Hub: netlab.Hub,
		Site: func(worker int) cluster.Site {
			return cluster.Site{Namespace: netlab.Namespace(worker), Host: netlab.Address(worker)}
		},
	})
	if err != nil {
		return report, err
	}
	defer stop()
	if err := w.load(ctx, c); err != nil {
		return report, err
	}
	report.Queries, err = w.cold(ctx, c, sizes)
	report.sum()
	return report, err
}

// sum adds up the queries that were answered at all sizes.
func (l *LinksReport) sum() {
	l.Sums = nil
	for _, workers := range l.Workers {
		s := LinksSum{Workers: workers}
		for _, q := range l.Queries {
			if !slices.ContainsFunc(l.Workers, func(n int) bool { r := q.run(n); return r == nil || r.Error != "" }) {
				r := q.run(workers)
				s.MS += r.MS
				s.LinkMS += linkMS(r.ReadMax, l.Mbit)
			}
		}
		l.Sums = append(l.Sums, s)
	}
	for i := range l.Sums {
		l.Sums[i].Speedup = ratio(l.Sums[0].MS, l.Sums[i].MS)
	}
}

// linkMS is how long a link needs for so many bytes.
func linkMS(bytes int64, mbit int) float64 { return float64(bytes) * 8 / 1e3 / float64(mbit) }

// targets of the report; none of a run that does not compare them.
func (l *LinksReport) targets() []Target {
	for _, s := range l.Sums {
		if s.Workers == targetWorkers && l.Workers[0] == 1 {
			return []Target{atLeast(fmt.Sprintf("links: speed of %d workers, of one", s.Workers), s.Speedup, linksSpeedupMin)}
		}
	}
	return nil
}
