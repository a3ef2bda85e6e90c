//go:build duckdb_arrow

package node_test

import (
	"context"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"skein/flight/node"
	nodev1 "skein/proto/node/v1"
)

// received reads the counter of a pool by its only label.
func received(t *testing.T, r *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			got[f.GetName()+" "+m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
		}
	}
	return got
}

func TestReceivedBytesAreCounted(t *testing.T) {
	const result, exchange = "skein_node_received_bytes_total result", "skein_node_received_bytes_total exchange"
	e := startEngine(t, "one")
	e.hold(t)
	e.keep(t, &nodev1.Fragment{QueryId: "q", Sql: "SELECT range AS k FROM range(10000)"})
	registry := prometheus.NewRegistry()
	pool := node.NewPool(node.Options{Registerer: registry})
	defer pool.Close()
	if got := received(t, registry); len(got) != 2 || got[result]+got[exchange] != 0 {
		t.Errorf("before: %v", got)
	}
	w := pool.Worker(e.address)
	read := func(ctx context.Context, kept bool) {
		t.Helper()
		r, err := w.Run(ctx, &nodev1.Fragment{QueryId: "q", Sql: "SELECT 1 AS x"})
		if kept {
			r.Close()
			r, err = w.ReadKept(ctx, e.share(0).Read)
		}
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		for err == nil {
			_, err = r.Next(ctx)
		}
	}
	read(t.Context(), false)
	first := received(t, registry)
	if first[result] < 8 || first[result] > 8000 || first[exchange] != 0 {
		t.Errorf("after a row: %v", first)
	}
	read(t.Context(), true)
	if got := received(t, registry); got[exchange] < 80_000 || got[exchange] > 200_000 {
		t.Errorf("after 10,000 kept rows of 8 bytes: %v", got)
	}
}
