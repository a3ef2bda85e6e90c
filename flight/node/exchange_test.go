//go:build duckdb_arrow

package node_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"skein/flight/node"
	"skein/internal/batch"
	"skein/internal/duck"
	"skein/internal/fault"
	nodev1 "skein/proto/node/v1"
	runner "skein/worker"
)

// engine is a worker that runs fragments in a DuckDB of its own. Others read
// what it keeps over the network.
type engine struct {
	*worker
	*runner.Runner
	*peer
	id string
}

func (e *engine) Run(ctx context.Context, f *nodev1.Fragment) (batch.Reader, error) {
	return e.Runner.Run(ctx, f)
}
func (e *engine) Keep(ctx context.Context, f *nodev1.Fragment) (*nodev1.KeepResponse, error) {
	return e.Runner.Keep(ctx, f)
}
func (e *engine) ReadKept(ctx context.Context, r *nodev1.KeptRead) (batch.Reader, error) {
	return e.Runner.ReadKept(ctx, r)
}
func (e *engine) Hold(ctx context.Context, id string, ready func()) error {
	return e.Runner.Hold(ctx, id, ready)
}

func startEngine(t testing.TB, id string) *engine {
	t.Helper()
	db, err := duck.Open(duck.Options{Threads: 2, TempDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	pool := node.NewPool(node.Options{})
	t.Cleanup(func() { pool.Close() })
	e := &engine{worker: &worker{}, id: id, Runner: runner.NewRunner(db, &runner.Splits{NodeID: id,
		FetchKept: func(ctx context.Context, address string, r *nodev1.KeptRead) (batch.Reader, error) {
			return pool.Worker(address).ReadKept(ctx, r)
		}})}
	e.peer = startPeer(t, e, "", "")
	return e
}

// hold holds query q over the network until the test ends.
func (e *engine) hold(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- e.remote.Hold(ctx, "q", func() { close(ready) }) }()
	t.Cleanup(func() { cancel(); <-ended })
	select {
	case <-ready:
	case err := <-ended:
		t.Fatal(err)
	}
}

func (e *engine) keep(t testing.TB, f *nodev1.Fragment) *nodev1.KeepResponse {
	t.Helper()
	res, err := e.remote.Keep(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func (e *engine) share(parts int32) *nodev1.KeptShare {
	return &nodev1.KeptShare{NodeId: e.id, Address: e.address, Read: &nodev1.KeptRead{QueryId: "q", Keys: []string{"k"}, Parts: parts}}
}

// value runs a fragment over the network for its only value.
func (e *engine) value(ctx context.Context, sql string, columns []*nodev1.Column, shares ...*nodev1.KeptShare) (string, error) {
	r, err := e.remote.Run(ctx, &nodev1.Fragment{QueryId: "q", Sql: sql, Reads: []*nodev1.StageRead{{View: "v", Columns: columns, Shares: shares}}})
	if err != nil {
		return "", err
	}
	defer r.Close()
	b, err := r.Next(ctx)
	if err != nil {
		return "", err
	}
	value := fmt.Sprint(b.Column(0).ValueStr(0))
	if _, err := r.Next(ctx); !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("more rows: %w", err)
	}
	return value, nil
}

func TestExchangeOverTheNetwork(t *testing.T) {
	one, two := startEngine(t, "one"), startEngine(t, "two")
	one.hold(t)
	two.hold(t)
	const sql = `SELECT range AS k, range::HUGEINT * 1000000000000000000000 AS h, '12:00:00+02'::TIMETZ AS z, to_days(range::INTEGER % 7) AS i,
		['a', 'b'][range % 2 + 1]::ENUM('a', 'b') AS e, {'b': [range::BIT], 'u': uuid()} AS n FROM range(100000)`
	columns := one.keep(t, &nodev1.Fragment{QueryId: "q", Sql: sql}).Columns
	two.keep(t, &nodev1.Fragment{QueryId: "q", Sql: sql})
	got, err := two.value(t.Context(), `SELECT count(*) || ' ' || sum(h) || ' ' || any_value(z) || ' ' || max(i) || ' ' || max(e) || ' ' || sum(n.b[1]::BIGINT) FROM v`, columns, one.share(0), two.share(0))
	if want := "200000 9999900000000000000000000000000 12:00:00+02 6 days b 9999900000"; err != nil || got != want {
		t.Errorf("got %s, want %s: %v", got, want, err)
	}
	half, err := two.value(t.Context(), "SELECT count(*) || ' ' || count(DISTINCT k) * 2 || ' ' || (count(*) BETWEEN 99000 AND 101000) FROM v", columns, one.share(2), two.share(2))
	var rows, twice int
	var even bool
	if _, scanErr := fmt.Sscan(half, &rows, &twice, &even); err != nil || scanErr != nil || rows != twice || !even {
		t.Errorf("of two parts: %s, %v", half, err)
	}
}

func TestLostProducerIsNamed(t *testing.T) {
	one, two, three := startEngine(t, "one"), startEngine(t, "two"), startEngine(t, "three")
	for _, e := range []*engine{one, two} {
		e.hold(t)
	}
	columns := one.keep(t, &nodev1.Fragment{QueryId: "q", Sql: "SELECT range AS k FROM range(1000)"}).Columns
	for name, lost := range map[string]*engine{"not kept": two, "not held": three} {
		_, err := three.value(t.Context(), "FROM v", columns, one.share(0), &nodev1.KeptShare{NodeId: lost.id, Address: lost.address,
			Read: &nodev1.KeptRead{QueryId: "q", Number: 7}})
		named(t, name, lost, err)
	}
	one.Stop()
	_, err := three.value(t.Context(), "FROM v", columns, one.share(0))
	named(t, "killed", one, err)
	_, err = two.remote.Keep(t.Context(), &nodev1.Fragment{QueryId: "q", Stage: 1, Sql: "FROM v", Reads: []*nodev1.StageRead{{View: "v", Columns: columns, Shares: []*nodev1.KeptShare{one.share(0)}}}})
	named(t, "killed, and rows to be kept", one, err)
	_, err = one.value(t.Context(), "FROM v", columns, two.share(0)) // its own worker is gone
	if fault.CodeOf(err) != fault.Unavailable || fault.Details(err)[runner.LostNodeDetail] != "" {
		t.Errorf("own worker: %v (%v)", err, fault.Details(err))
	}
}

func named(t *testing.T, what string, lost *engine, err error) {
	t.Helper()
	if fault.CodeOf(err) != fault.Unavailable || fault.Details(err)[runner.LostNodeDetail] != lost.id {
		t.Errorf("%s: %v (%s, %v), want lost %s", what, err, fault.CodeOf(err), fault.Details(err), lost.id)
	}
}

// BenchmarkExchange moves 6 million rows from one node's DuckDB to another's
// over TCP. A row counts as its values' bytes: 8, 8, 4 and 20.
func BenchmarkExchange(b *testing.B) {
	one, two := startEngine(b, "one"), startEngine(b, "two")
	one.hold(b)
	two.hold(b)
	res := one.keep(b, &nodev1.Fragment{QueryId: "q", Sql: `SELECT range AS k, (range * 0.37)::DOUBLE AS price, DATE '1992-01-01' + ((range * 31) % 2526)::INTEGER AS day,
		'comment ' || lpad((range % 1000000)::VARCHAR, 12, '0') AS comment FROM range(6000000)`})
	for _, parts := range []int32{0, 4} {
		b.Run(fmt.Sprintf("parts=%d", parts), func(b *testing.B) {
			b.SetBytes(6_000_000 * 40 / int64(max(parts, 1)))
			for b.Loop() {
				if _, err := two.value(b.Context(), "SELECT count(*) AS n FROM v", res.Columns, one.share(parts)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
