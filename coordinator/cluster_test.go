//go:build duckdb_arrow

package coordinator_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"go.uber.org/goleak"

	"skein/coordinator"
	"skein/internal/batch"
	"skein/internal/duck"
	"skein/internal/fault"
	"skein/meta"
	"skein/meta/boltmeta"
	"skein/objstore/local"
	nodev1 "skein/proto/node/v1"
	"skein/worker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// connectionsMax is how many connections the cluster's DuckDB gives.
const connectionsMax = 256

// cluster is some nodes in one process, over one catalog and one store. Each
// has its own worker; calls between them can be made to fail.
type cluster struct {
	t     testing.TB
	meta  meta.Store
	nodes []*testNode
	dir   string
	db    *duck.DB
	opts  coordinator.Options       // of every node, but for its name
	fault atomic.Pointer[faultFunc] // strikes calls of all nodes; nil for none
}

type testNode struct {
	*coordinator.Coordinator
	id     string
	worker *faultyWorker
}

func newCluster(t testing.TB, size int) *cluster {
	t.Helper()
	return newClusterWith(t, size, coordinator.Options{})
}

func newClusterWith(t testing.TB, size int, o coordinator.Options) *cluster {
	t.Helper()
	o.ViewAge, o.DivideBytesMin, o.CollapseRows = time.Nanosecond, -1, -1
	dir := t.TempDir()
	catalog, err := boltmeta.Open(filepath.Join(dir, "catalog.db"), boltmeta.Options{})
	check(t, err)
	t.Cleanup(func() { catalog.Close() })
	objects, err := local.Open(filepath.Join(dir, "objects"), local.Options{})
	check(t, err)
	t.Cleanup(func() { objects.Close() })
	db, err := duck.Open(duck.Options{AllowedDirs: []string{dir}, TempDir: filepath.Join(dir, "tmp"), Threads: 2, ConnectionsMax: connectionsMax})
	check(t, err)
	t.Cleanup(db.Close)
	c := &cluster{t: t, meta: catalog, dir: dir, db: db, opts: o}
	for i := range size {
		c.add(fmt.Sprintf("n%d", i+1), dir, db, objects)
	}
	for _, n := range c.nodes {
		check(t, n.Start(t.Context()))
		t.Cleanup(func() { check(t, n.Stop(context.Background())) })
	}
	return c
}

func (c *cluster) add(id, dir string, db *duck.DB, objects *local.Store) {
	w, err := worker.New(worker.Deps{Meta: c.meta, Objects: objects, DB: db}, worker.Options{NodeID: id, Dir: filepath.Join(dir, id)})
	check(c.t, err)
	w.Start(context.Background())
	c.t.Cleanup(func() { check(c.t, w.Close(context.Background())) })
	fetched := filepath.Join(dir, id, "fetched")
	check(c.t, os.MkdirAll(fetched, 0o750))
	n := &testNode{id: id}
	source := &worker.Splits{NodeID: id, Dir: fetched, Hot: w.HotPath,
		Object: func(ctx context.Context, key string, _ int64) (string, func(), error) {
			if err := n.worker.reach(ctx, opening, key); err != nil {
				return "", nil, err
			}
			p, err := objects.LocalPath(key)
			return p, func() {}, err
		},
		Fetch: func(ctx context.Context, address string, r *nodev1.ReadHotRequest) (io.ReadCloser, error) {
			return c.byAddress(address).worker.ReadHot(ctx, r)
		},
		FetchKept: func(ctx context.Context, address string, r *nodev1.KeptRead) (batch.Reader, error) {
			if err := n.worker.reach(ctx, fetching, r); err != nil {
				return nil, err
			}
			return c.byAddress(address).worker.ReadKept(ctx, r)
		}}
	n.worker = &faultyWorker{Worker: w, Runner: worker.NewRunner(db, source), id: id, cluster: c}
	n.worker.revive()
	o := c.opts
	o.Node = meta.Node{ID: id, Address: id + ":1", Roles: []string{"coordinator", "worker"}}
	n.Coordinator, err = coordinator.New(c.t.Context(), coordinator.Deps{
		Meta: c.meta, Objects: objects, DB: db, Local: n.worker, Loader: w,
		Remote: func(m meta.Node) coordinator.Worker { return c.byAddress(m.Address).worker },
	}, o)
	check(c.t, err)
	c.nodes = append(c.nodes, n)
}

func (c *cluster) byAddress(address string) *testNode {
	for _, n := range c.nodes {
		if n.id+":1" == address {
			return n
		}
	}
	return nil
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// rows runs a query and returns its values as text.
func rows(t testing.TB, c *coordinator.Coordinator, sql string, params arrow.RecordBatch) ([][]string, error) {
	t.Helper()
	r, err := c.Query(t.Context(), sql, params)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return textRows(t.Context(), r)
}

func textRows(ctx context.Context, r batch.Reader) ([][]string, error) {
	all := [][]string{}
	for {
		b, err := r.Next(ctx)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		for i := range int(b.NumRows()) {
			row := make([]string, b.NumCols())
			for j := range row {
				row[j] = fmt.Sprint(b.Column(j).ValueStr(i))
			}
			all = append(all, row)
		}
	}
}

func one(t testing.TB, c *coordinator.Coordinator, sql string) string {
	t.Helper()
	r, err := rows(t, c, sql, nil)
	check(t, err)
	if len(r) != 1 || len(r[0]) != 1 {
		t.Fatalf("%s: %v", sql, r)
	}
	return string([]byte(r[0][0]))
}

var start = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

// write stores n records of ids that spread over all nodes.
func write(t testing.TB, c *coordinator.Coordinator, table string, from, n int) {
	t.Helper()
	records := make([]coordinator.Record, n)
	for i := range records {
		k := from + i
		records[i] = coordinator.Record{ID: fmt.Sprintf("id-%d", k%50), Timestamp: start.Add(time.Duration(k) * time.Second), Payload: fmt.Appendf(nil, `{"n": %d}`, k)}
	}
	check(t, c.Write(t.Context(), table, records))
}

func create(t testing.TB, c *coordinator.Coordinator, name string) {
	t.Helper()
	_, err := c.CreateTable(t.Context(), name, meta.Config{FlushIntervalSeconds: 3600, BufferSize: 1_000_000}, false)
	check(t, err)
}

func TestQueriesSeeFilesAndBuffersOnAllNodes(t *testing.T) {
	c := newCluster(t, 3)
	create(t, c.nodes[0].Coordinator, "t")
	write(t, c.nodes[1].Coordinator, "t", 0, 500)
	check(t, c.nodes[0].Flush(t.Context(), "t"))
	write(t, c.nodes[2].Coordinator, "t", 500, 500)
	for _, n := range c.nodes {
		if got := one(t, n.Coordinator, "SELECT count(*) || ' ' || sum(payload.n) || ' ' || count(DISTINCT t.n) FROM t"); got != "1000 499500 1000" {
			t.Errorf("gathered on %s: %s", n.id, got)
		}
		all, err := rows(t, n.Coordinator, "SELECT payload.n FROM t WHERE n % 2 = 0", nil)
		if err != nil || len(all) != 500 {
			t.Errorf("scanned on %s: %d rows, %v", n.id, len(all), err)
		}
	}
	for _, n := range c.nodes {
		if n.worker.runs.Load() == 0 {
			t.Errorf("worker %s ran nothing", n.id)
		}
	}
	described, err := c.nodes[0].DescribeTable(t.Context(), "t")
	if age := time.Since(described.Stats.LastWrite); age < 0 || age > time.Minute {
		t.Errorf("last write %v", described.Stats.LastWrite)
	}
	if err != nil || described.Stats.Rows != 1000 || !described.Stats.Newest.Equal(start.Add(999*time.Second)) {
		t.Errorf("stats %+v, %v", described.Stats, err)
	}
}

func TestEachRowOnceWhileFlushing(t *testing.T) {
	c := newCluster(t, 2)
	create(t, c.nodes[0].Coordinator, "t")
	const batches, size = 40, 50
	write(t, c.nodes[0].Coordinator, "t", 0, size)
	var acknowledged atomic.Int64
	acknowledged.Store(size)
	var writing sync.WaitGroup
	writing.Go(func() {
		for i := 1; i < batches; i++ {
			write(t, c.nodes[i%2].Coordinator, "t", i*size, size)
			acknowledged.Add(size)
			if i%4 == 3 {
				if err := c.nodes[0].Flush(t.Context(), "t"); err != nil {
					t.Error(err)
				}
			}
		}
	})
	for acknowledged.Load() < batches*size {
		before := acknowledged.Load()
		var count, distinct int64
		got := one(t, c.nodes[1].Coordinator, "SELECT count(*) || ' ' || count(DISTINCT n) FROM t")
		if _, err := fmt.Sscan(got, &count, &distinct); err != nil {
			t.Fatal(err)
		}
		if count != distinct || count < before {
			t.Fatalf("%d rows, %d distinct, %d acknowledged before", count, distinct, before)
		}
	}
	writing.Wait()
	if got := one(t, c.nodes[0].Coordinator, "SELECT count(*) FROM t"); got != fmt.Sprint(batches*size) {
		t.Errorf("%s rows in the end", got)
	}
}

func TestLostFragmentsRunElsewhere(t *testing.T) {
	c := newCluster(t, 3)
	create(t, c.nodes[0].Coordinator, "t")
	write(t, c.nodes[0].Coordinator, "t", 0, 1000)
	check(t, c.nodes[0].Flush(t.Context(), "t"))
	c.nodes[2].worker.down.Store(true)
	for range 3 {
		all, err := rows(t, c.nodes[0].Coordinator, "SELECT n FROM t", nil)
		if err != nil || len(all) != 1000 {
			t.Fatalf("%d rows, %v", len(all), err)
		}
	}
	if got := one(t, c.nodes[1].Coordinator, "SELECT sum(n) FROM t"); got != "499500" {
		t.Error(got)
	}
}

func TestFragmentLostOnTheWayIsNoShortResult(t *testing.T) {
	c := newCluster(t, 3)
	create(t, c.nodes[0].Coordinator, "t")
	write(t, c.nodes[0].Coordinator, "t", 0, 1000)
	check(t, c.nodes[0].Flush(t.Context(), "t"))
	c.nodes[1].worker.cutRuns.Store(true)
	all, err := rows(t, c.nodes[0].Coordinator, "SELECT n FROM t", nil)
	if fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("%d rows, %v", len(all), err)
	}
}

func TestUnflushedRowsOfASilentNodeAreAnError(t *testing.T) {
	c := newCluster(t, 3)
	create(t, c.nodes[0].Coordinator, "t")
	create(t, c.nodes[0].Coordinator, "other")
	write(t, c.nodes[0].Coordinator, "t", 0, 500)
	c.nodes[2].worker.down.Store(true)
	_, err := rows(t, c.nodes[0].Coordinator, "SELECT count(*) FROM t", nil)
	if fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("got %v", err)
	}
	if got := one(t, c.nodes[0].Coordinator, "SELECT count(*) FROM other"); got != "0" {
		t.Error(got)
	}
	c.nodes[2].worker.down.Store(false)
	if got := one(t, c.nodes[0].Coordinator, "SELECT count(*) FROM t"); got != "500" {
		t.Error(got)
	}
}

func TestWritesStandInOnlyWhereNothingWasSent(t *testing.T) {
	c := newCluster(t, 3)
	create(t, c.nodes[0].Coordinator, "t")
	c.nodes[1].worker.down.Store(true)
	write(t, c.nodes[0].Coordinator, "t", 0, 500)
	c.nodes[1].worker.down.Store(false)
	if got := one(t, c.nodes[0].Coordinator, "SELECT count(*) || ' ' || count(DISTINCT n) FROM t"); got != "500 500" {
		t.Errorf("with a node down: %s", got)
	}
	create(t, c.nodes[0].Coordinator, "u")
	for _, n := range c.nodes {
		n.worker.failAppend.Store(true)
	}
	err := c.nodes[0].Write(t.Context(), "u", []coordinator.Record{{ID: "a", Timestamp: start, Payload: []byte(`{"n": 1}`)}})
	if fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("got %v", err)
	}
	if got := one(t, c.nodes[0].Coordinator, "SELECT count(*) FROM u"); got != "1" {
		t.Errorf("%s rows, the answer of one append was lost", got)
	}
}
