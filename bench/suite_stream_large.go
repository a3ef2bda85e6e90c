package bench

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"

	"skein/bench/cluster"
	"skein/internal/fault"
)

// residentEvery is how often the nodes' memory is looked at.
const residentEvery = 100 * time.Millisecond

// streamCluster reads the large table through a coordinator that is no worker,
// from workers that have just been started.
func (w *own) streamCluster(ctx context.Context, report *StreamReport) error {
	c, stop, err := w.start(ctx, cluster.Options{})
	if err != nil {
		return err
	}
	defer stop()
	loader, err := c.Loader(ctx)
	if err != nil {
		return err
	}
	s, err := w.dial(ctx, loader)
	if err == nil {
		err = w.makeLarge(ctx, s)
		s.close()
	}
	loader.Stop()
	if err != nil {
		return err
	}
	for range w.o.Runs {
		if err := c.Up(ctx, streamWorkers); err != nil {
			return err
		}
		s, err := w.dial(ctx, c.Coordinator)
		if err != nil {
			return err
		}
		nodes := append([]*cluster.Node{c.Coordinator}, c.Workers...)
		for _, cold := range []bool{true, false} {
			if err = w.readLarge(ctx, nodes, s, cold, report); err != nil {
				break
			}
		}
		s.close()
		c.Down()
		if err != nil {
			return err
		}
	}
	return nil
}

// makeLarge makes the table of many rows.
func (w *own) makeLarge(ctx context.Context, s *server) error {
	start := time.Now()
	res, err := s.query(ctx, fmt.Sprintf("CREATE TABLE %s AS SELECT range AS a, range * 7 AS b, (range %% 1000)::DOUBLE AS c FROM range(%d)", streamedRows, w.o.StreamRows))
	if err != nil {
		return err
	}
	res.release()
	fmt.Fprintf(w.o.Progress, "made %d rows in %.1f s\n", w.o.StreamRows, time.Since(start).Seconds())
	return nil
}

// streamLarge reads the large table from one node.
func (w *own) streamLarge(ctx context.Context, n *cluster.Node, s *server, report *StreamReport) error {
	if err := w.makeLarge(ctx, s); err != nil {
		return err
	}
	return w.readLarge(ctx, []*cluster.Node{n}, s, false, report)
}

// readLarge reads all of the large table.
func (w *own) readLarge(ctx context.Context, nodes []*cluster.Node, s *server, cold bool, report *StreamReport) error {
	r := StreamResult{Nodes: "one", Cold: cold}
	if len(nodes) > 1 {
		r.Nodes = fmt.Sprintf("a coordinator and %d workers", len(nodes)-1)
	}
	before, err := resident(ctx, nodes)
	if err != nil {
		return err
	}
	watch := watchResident(ctx, nodes, before)
	start := time.Now()
	err = s.stream(ctx, "SELECT * FROM "+streamedRows, func(in array.RecordReader) error {
		for in.Next() {
			if r.Rows == 0 {
				r.FirstMS = millis(time.Since(start))
			}
			r.Rows += in.RecordBatch().NumRows()
		}
		return in.Err()
	})
	r.MS = millis(time.Since(start))
	r.GrownMB = mb(watch())
	if err == nil && r.Rows != int64(w.o.StreamRows) {
		err = fault.Newf(fault.Internal, "the server gave %d rows of %d", r.Rows, w.o.StreamRows)
	}
	if err != nil {
		return err
	}
	report.Large = append(report.Large, r)
	fmt.Fprintf(w.o.Progress, "%d rows from %s (cold: %t): first batch after %.0f ms, all after %.1f s, memory grown by %.0f MB\n", r.Rows, r.Nodes, cold, r.FirstMS, r.MS/1000, r.GrownMB)
	return nil
}

func resident(ctx context.Context, nodes []*cluster.Node) ([]int64, error) {
	all := make([]int64, len(nodes))
	for i, n := range nodes {
		u, err := n.Use(ctx)
		if err != nil {
			return nil, err
		}
		all[i] = u.Resident
	}
	return all, nil
}

// watchResident looks at the nodes' memory until the returned function is
// called, which gives by how much the one grew that grew most.
func watchResident(ctx context.Context, nodes []*cluster.Node, before []int64) (grown func() int64) {
	ctx, stop := context.WithCancel(ctx)
	var most int64
	var watching sync.WaitGroup
	watching.Go(func() {
		ticker := time.NewTicker(residentEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			now, err := resident(ctx, nodes)
			for i := range now {
				most = max(most, now[i]-before[i])
			}
			if err != nil && ctx.Err() != nil {
				return
			}
		}
	})
	return func() int64 {
		stop()
		watching.Wait()
		return most
	}
}

// Targets of suite stream.
const (
	streamRatioMin  = 0.7
	streamFirstMax  = 100.0 // ms
	streamGrownMax  = 300.0 // MB
	streamAheadMin  = 1.0   // of a peer's time to Skein's
	streamPeerLabel = "stream: read against %s"
)

func (r *StreamReport) targets() []Target {
	all := []Target{
		atLeast("stream: read of lineitem, of DuckDB's speed", r.Read.Ratio, streamRatioMin),
		atLeast("stream: ingest of lineitem, of COPY's speed", r.Ingest.Ratio, streamRatioMin),
	}
	for _, p := range r.Peers {
		if p.Error == "" {
			all = append(all, atLeast(fmt.Sprintf(streamPeerLabel, p.Name), p.Ratio, streamAheadMin))
		}
	}
	var first, grown float64
	for _, l := range r.Large {
		first, grown = max(first, l.FirstMS), max(grown, l.GrownMB)
	}
	return append(all, atMost("stream: first batch, the slowest, ms", first, streamFirstMax), atMost("stream: memory grown, the most, MB", grown, streamGrownMax))
}
