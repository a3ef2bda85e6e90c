package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"skein/internal/batch"
	"skein/internal/duck"
	"skein/internal/fault"
	nodev1 "skein/proto/node/v1"
)

// numbered keeps rows (k, s) from..to as fragment number of query q, stage 0.
func numbered(number int32, from, to int) *nodev1.Fragment {
	return &nodev1.Fragment{QueryId: "q", Number: number, Sql: fmt.Sprintf("SELECT range AS k, 'row ' || range AS s FROM range(%d, %d)", from, to)}
}

var numberedColumns = []*nodev1.Column{{Name: "k", Type: "BIGINT"}, {Name: "s", Type: "VARCHAR"}}

func TestStagesReadWhatOthersKept(t *testing.T) {
	f := newFleet(t, duck.Options{}, "n1", "n2", "n3")
	for i, n := range []string{"n1", "n2", "n3"} {
		f.hold(t, n, "q")
		res := f.keep(t, n, numbered(int32(i), i*50_000, (i+1)*50_000))
		if res.Rows != 50_000 || res.FetchedBytes != 0 || res.Bytes < 50_000*20 || res.Bytes > 50_000*60 {
			t.Errorf("kept %v", res)
		}
		if diff := cmp.Diff(fmt.Sprint(numberedColumns), fmt.Sprint(res.Columns)); diff != "" {
			t.Error(diff)
		}
	}
	all := &nodev1.StageRead{View: "v", Columns: numberedColumns, Shares: []*nodev1.KeptShare{share("n1", 0), share("n2", 1), share("n3", 2)}}
	const check = "SELECT count(*) || ' ' || count(DISTINCT k) || ' ' || sum(k) || ' ' || count(*) FILTER (s = 'row ' || k) FROM v"
	for _, n := range []string{"n1", "n3"} {
		if got := f.run(t, n, &nodev1.Fragment{QueryId: "q", Sql: check, Reads: []*nodev1.StageRead{all}}); got[0][0] != "150000 150000 11249925000 150000" {
			t.Errorf("gathered on %s: %v", n, got)
		}
	}
	// Parts go to fragments on all nodes, which keep counts; those are gathered.
	var counts []*nodev1.KeptShare
	for i, n := range []string{"n1", "n2", "n3"} {
		parts := &nodev1.StageRead{View: "v", Columns: numberedColumns}
		for j := range 3 {
			parts.Shares = append(parts.Shares, part(share(fmt.Sprint("n", j+1), int32(j)), int32(i), 3, `"k" % 1000`, "'x'"))
		}
		res := f.keep(t, n, &nodev1.Fragment{QueryId: "q", Stage: 1, Number: int32(i), Reads: []*nodev1.StageRead{parts}, Sql: "SELECT k % 1000 AS g, count(*) AS n FROM v GROUP BY g"})
		if res.FetchedBytes == 0 || res.Rows < 250 || res.Rows > 420 {
			t.Errorf("part %d: %v", i, res)
		}
		s := share(n, int32(i))
		s.Read.Stage = 1
		counts = append(counts, s)
	}
	last := &nodev1.Fragment{QueryId: "q", Sql: "SELECT count(*) || ' ' || count(DISTINCT g) || ' ' || min(n) || ' ' || max(n) FROM c", Reads: []*nodev1.StageRead{
		{View: "c", Shares: counts, Columns: []*nodev1.Column{{Name: "g", Type: "BIGINT"}, {Name: "n", Type: "BIGINT"}}}}}
	if got := f.run(t, "n2", last); got[0][0] != "1000 1000 150 150" {
		t.Errorf("after the exchange: %v", got)
	}
}

func TestNoSharesAreAnEmptyRelation(t *testing.T) {
	f := newFleet(t, duck.Options{}, "n1")
	read := &nodev1.StageRead{View: "v", Columns: []*nodev1.Column{{Name: `a"b`, Type: "HUGEINT[]"}, {Name: "e", Type: "ENUM('x')"}}}
	got := f.run(t, "n1", &nodev1.Fragment{QueryId: "q", Reads: []*nodev1.StageRead{read}, Sql: "SELECT column_name || ' ' || column_type FROM (DESCRIBE v) UNION ALL SELECT count(*)::VARCHAR FROM v"})
	if diff := cmp.Diff([][]string{{`a"b HUGEINT[]`}, {"e ENUM('x')"}, {"0"}}, got); diff != "" {
		t.Error(diff)
	}
}

func TestKeepErrors(t *testing.T) {
	f := newFleet(t, duck.Options{}, "n1")
	r := f.runners["n1"]
	if _, err := r.Keep(t.Context(), numbered(0, 0, 1)); fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("not held: %v", err)
	}
	f.hold(t, "n1", "q")
	if err := r.Hold(t.Context(), "q", func() {}); fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("held twice: %v", err)
	}
	if err := r.Hold(t.Context(), "", func() {}); fault.CodeOf(err) != fault.InvalidArgument {
		t.Errorf("held without id: %v", err)
	}
	negative := numbered(0, 0, 1)
	negative.Attempt = -1
	elsewhere := share("n1", 0)
	elsewhere.Read.QueryId = "other"
	read := func(columns []*nodev1.Column, s ...*nodev1.KeptShare) *nodev1.Fragment {
		return &nodev1.Fragment{QueryId: "q", Number: 9, Sql: "FROM v", Reads: []*nodev1.StageRead{{View: "v", Columns: columns, Shares: s}}}
	}
	for name, c := range map[string]struct {
		f    *nodev1.Fragment
		want fault.Code
	}{
		"no statement":     {&nodev1.Fragment{QueryId: "q"}, fault.InvalidArgument},
		"not a query":      {&nodev1.Fragment{QueryId: "q", Sql: "CREATE TABLE x (i INTEGER)"}, fault.InvalidArgument},
		"user's error":     {&nodev1.Fragment{QueryId: "q", Sql: "SELECT CAST(s AS INTEGER) AS i FROM (SELECT 'row ' || range AS s FROM range(100000))"}, fault.InvalidArgument},
		"negative numbers": {negative, fault.InvalidArgument},
		"no columns":       {read(nil), fault.InvalidArgument},
		"no read":          {read(numberedColumns, &nodev1.KeptShare{NodeId: "n1"}), fault.InvalidArgument},
		"other query":      {read(numberedColumns, elsewhere), fault.InvalidArgument},
		"no keys":          {read(numberedColumns, part(share("n1", 0), 0, 2)), fault.InvalidArgument},
		"no such part":     {read(numberedColumns, part(share("n1", 0), 2, 2, "k")), fault.InvalidArgument},
		"too many parts":   {read(numberedColumns, part(share("n1", 0), 0, partsMax+1, "k")), fault.InvalidArgument},
		"too many keys":    {read(numberedColumns, part(share("n1", 0), 0, 2, make([]string, keysMax+1)...)), fault.InvalidArgument},
		"too many shares":  {read(numberedColumns, make([]*nodev1.KeptShare, sharesMax+1)...), fault.InvalidArgument},
		"too many reads":   {&nodev1.Fragment{QueryId: "q", Sql: "SELECT 1 AS a", Reads: make([]*nodev1.StageRead, readsMax+1)}, fault.InvalidArgument},
		"not kept":         {read(numberedColumns, share("n1", 7)), fault.Unavailable},
	} {
		for range 2 { // what failed may be tried again
			if _, err := r.Keep(t.Context(), c.f); fault.CodeOf(err) != c.want {
				t.Errorf("%s: %v (%s)", name, err, fault.CodeOf(err))
			}
		}
	}
	f.keep(t, "n1", numbered(0, 0, 10))
	if _, err := r.Keep(t.Context(), numbered(0, 0, 10)); fault.CodeOf(err) != fault.AlreadyExists {
		t.Errorf("kept twice: %v", err)
	}
	again := numbered(0, 0, 10)
	again.Attempt = 1
	f.keep(t, "n1", again)
	if _, err := r.ReadKept(t.Context(), part(share("n1", 0), 0, 2, "no_such_column").Read); fault.CodeOf(err) != fault.InvalidArgument {
		t.Errorf("a key that does not exist: %v", err)
	}
	variant := &nodev1.Fragment{QueryId: "q", Number: 3, Sql: "SELECT 1::VARIANT AS v"}
	f.keep(t, "n1", variant)
	if _, err := r.ReadKept(t.Context(), share("n1", 3).Read); fault.CodeOf(err) != fault.Unimplemented {
		t.Errorf("a type that cannot travel: %v", err)
	}
}

func TestLostNodesAreNamed(t *testing.T) {
	f := newFleet(t, duck.Options{}, "n1", "n2", "n3")
	for _, n := range []string{"n1", "n2"} {
		f.hold(t, n, "q")
	}
	f.keep(t, "n1", numbered(0, 0, 10))
	endThird := f.hold(t, "n3", "q")
	f.keep(t, "n3", numbered(1, 10, 500_000))
	from := func(s ...*nodev1.KeptShare) *nodev1.Fragment {
		return &nodev1.Fragment{QueryId: "q", Stage: 1, Sql: "FROM v", Reads: []*nodev1.StageRead{{View: "v", Columns: numberedColumns, Shares: s}}}
	}
	missing := func(what, node string, err error) {
		t.Helper()
		if fault.CodeOf(err) != fault.Unavailable || fault.Details(fault.From(fault.Status(err)))[LostNodeDetail] != node {
			t.Errorf("%s: %v (%s, %v), want lost %s", what, err, fault.CodeOf(err), fault.Details(err), node)
		}
	}
	_, err := f.runners["n1"].Run(t.Context(), from(share("n1", 8)))
	missing("own", "n1", err)
	_, err = f.runners["n1"].Keep(t.Context(), from(share("n1", 0), share("n2", 5), share("n3", 1)))
	missing("other's", "n2", err)
	f.fail = func(node string) error {
		if node == "n3" {
			return fault.New(fault.Unavailable, "connection refused")
		}
		return nil
	}
	_, err = f.runners["n2"].Run(t.Context(), from(share("n1", 0), share("n3", 1)))
	missing("silent", "n3", err)
	f.fail = func(string) error { return fault.New(fault.ResourceExhausted, "too many queries are running") }
	if _, err = f.runners["n2"].Run(t.Context(), from(share("n3", 1))); fault.CodeOf(err) != fault.ResourceExhausted {
		t.Errorf("busy: %v", err)
	}
	f.fail = nil
	endThird()
	_, err = f.runners["n2"].Run(t.Context(), from(share("n1", 0), share("n3", 1)))
	missing("not held", "n3", err)
	if n := f.connections(t, "n2"); n != "1" {
		t.Errorf("%s connections stay after errors", n)
	}
	temporary, err := f.query(t, "n2", "SELECT count(*) FROM duckdb_tables()")
	if err != nil || temporary != "0" {
		t.Errorf("%s tables stay after errors, %v", temporary, err)
	}
}

func (f *fleet) query(t testing.TB, node, sql string) (string, error) {
	t.Helper()
	c, err := f.dbs[node].Spare()
	if err != nil {
		return "", err
	}
	defer c.Close()
	rows, err := c.Strings(context.Background(), sql)
	if err != nil {
		return "", err
	}
	return rows[0][0], nil
}

func (f *fleet) connections(t testing.TB, node string) string {
	t.Helper()
	n, err := f.query(t, node, "SELECT count FROM duckdb_connection_count()")
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// used is the memory and the temporary files of a node's DuckDB, in MiB.
func (f *fleet) used(t testing.TB, node string) (memory, files int) {
	t.Helper()
	text, err := f.query(t, node, "SELECT (sum(memory_usage_bytes) >> 20) || ' ' || (sum(temporary_storage_bytes) >> 20) FROM duckdb_memory()")
	if err == nil {
		_, err = fmt.Sscan(text, &memory, &files)
	}
	if err != nil {
		t.Fatal(err)
	}
	return memory, files
}

func TestEndOfHoldFreesMemory(t *testing.T) {
	f := newFleet(t, duck.Options{}, "n1")
	end := f.hold(t, "n1", "q")
	f.keep(t, "n1", numbered(0, 0, 2_000_000))
	conn, err := f.dbs["n1"].Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	other, err := conn.Query(t.Context(), "SELECT range FROM range(100000000)") // another query's transaction stays open
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	before, _ := f.used(t, "n1")
	end()
	after, _ := f.used(t, "n1")
	if before < 40 || after > 5 {
		t.Errorf("%d MiB before the end of the hold, %d after", before, after)
	}
	if _, err := f.runners["n1"].ReadKept(t.Context(), share("n1", 0).Read); fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("read afterwards: %v", err)
	}
	f.hold(t, "n1", "q") // the id may be held again, without the rows
	if _, err := f.runners["n1"].ReadKept(t.Context(), share("n1", 0).Read); fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("read in the next hold: %v", err)
	}
}

func TestKeptRowsSpill(t *testing.T) {
	f := newFleet(t, duck.Options{MemoryLimit: "80MiB"}, "n1", "n2")
	end := f.hold(t, "n1", "q")
	f.hold(t, "n2", "q")
	f.keep(t, "n1", numbered(0, 0, 5_000_000)) // about 160 MB
	if _, files := f.used(t, "n1"); files < 20 {
		t.Errorf("only %d MiB in temporary files", files)
	}
	sum := &nodev1.Fragment{QueryId: "q", Sql: "SELECT count(*) || ' ' || sum(k) || ' ' || count(*) FILTER (s = 'row ' || k) FROM v",
		Reads: []*nodev1.StageRead{{View: "v", Columns: numberedColumns, Shares: []*nodev1.KeptShare{share("n1", 0)}}}}
	for _, n := range []string{"n1", "n2"} {
		if got := f.run(t, n, sum); got[0][0] != "5000000 12499997500000 5000000" {
			t.Errorf("on %s: %v", n, got)
		}
	}
	end()
	if memory, files := f.used(t, "n1"); memory > 20 || files > 0 {
		t.Errorf("%d MiB in memory and %d in files after the end", memory, files)
	}
}

func TestNoRoomIsResourceExhausted(t *testing.T) {
	db, err := duck.Open(duck.Options{MemoryLimit: "60MiB", Threads: 2}) // nowhere to spill
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	f := newFleet(t, duck.Options{}, "n1")
	f.dbs["n1"], f.runners["n1"] = db, NewRunner(db, &Splits{NodeID: "n1"})
	defer f.hold(t, "n1", "q")()
	if _, err := f.runners["n1"].Keep(t.Context(), numbered(0, 0, 8_000_000)); fault.CodeOf(err) != fault.ResourceExhausted {
		t.Errorf("got %v", err)
	}
	f.keep(t, "n1", numbered(0, 0, 10))
}

func TestEndOfHoldStopsWork(t *testing.T) {
	f := newFleet(t, duck.Options{}, "n1")
	end := f.hold(t, "n1", "q")
	f.keep(t, "n1", numbered(0, 0, 500_000))
	reader, err := f.runners["n1"].ReadKept(t.Context(), share("n1", 0).Read)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	b, err := reader.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const forever = "SELECT sum(a.range * b.range) AS s FROM range(10000000) a, range(10000000) b"
	local := &nodev1.StageRead{View: "v", Columns: numberedColumns, Shares: []*nodev1.KeptShare{share("n1", 0)}}
	var work sync.WaitGroup
	errs := make([]error, 2)
	work.Go(func() {
		_, errs[0] = f.runners["n1"].Keep(context.Background(), &nodev1.Fragment{QueryId: "q", Number: 1, Sql: forever})
	})
	work.Go(func() {
		_, errs[1] = f.runners["n1"].Run(context.Background(), &nodev1.Fragment{QueryId: "q", Sql: "SELECT sum(v.k * b.range) AS s FROM v, range(10000000) b", Reads: []*nodev1.StageRead{local}})
	})
	eventually(t, "the fragments run", func() bool { n, _ := strconv.Atoi(f.connections(t, "n1")); return n >= 4 })
	end()
	if n := f.connections(t, "n1"); n != "1" {
		t.Errorf("%s connections stay", n)
	}
	if got := b.Column(1).ValueStr(7); got != "row 7" { // the batch in hand is whole
		t.Error(got)
	}
	if _, err := reader.Next(t.Context()); fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("the reader got %v", err)
	}
	work.Wait()
	for i, err := range errs {
		if fault.CodeOf(err) != fault.Unavailable {
			t.Errorf("work %d: %v (%s)", i, err, fault.CodeOf(err))
		}
	}
}

func TestReadersWhileHoldsEnd(t *testing.T) {
	f := newFleet(t, duck.Options{}, "n1", "n2")
	for round := range 12 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		end := f.hold(t, "n1", "q")
		f.keep(t, "n1", numbered(0, 0, 300_000))
		var work sync.WaitGroup
		read := &nodev1.StageRead{View: "v", Columns: numberedColumns, Shares: []*nodev1.KeptShare{share("n1", 0)}}
		for _, n := range []string{"n1", "n2", "n1", "n2"} {
			work.Go(func() {
				r, err := f.runners[n].Run(ctx, &nodev1.Fragment{QueryId: "q", Sql: "SELECT s, k FROM v ORDER BY s", Reads: []*nodev1.StageRead{read}})
				if err == nil {
					err = drain(ctx, r)
				}
				if err != nil && fault.CodeOf(err) != fault.Unavailable {
					t.Errorf("on %s: %v (%s)", n, err, fault.CodeOf(err))
				}
			})
		}
		time.Sleep(time.Duration(round) * 8 * time.Millisecond) // so that it hits at all moments
		end()
		work.Wait()
		cancel()
	}
	for _, n := range []string{"n1", "n2"} {
		if c := f.connections(t, n); c != "1" {
			t.Errorf("%s connections stay on %s", c, n)
		}
	}
}

func drain(ctx context.Context, r batch.Reader) error {
	defer r.Close()
	for {
		if _, err := r.Next(ctx); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func TestCanceledExchange(t *testing.T) {
	f := newFleet(t, duck.Options{}, "n1", "n2")
	f.hold(t, "n1", "q")
	f.hold(t, "n2", "q")
	f.keep(t, "n1", numbered(0, 0, 2_000_000))
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	_, err := f.runners["n2"].Keep(ctx, &nodev1.Fragment{QueryId: "q", Stage: 1, Sql: "FROM v",
		Reads: []*nodev1.StageRead{{View: "v", Columns: numberedColumns, Shares: []*nodev1.KeptShare{share("n1", 0)}}}})
	if fault.CodeOf(err) != fault.Canceled {
		t.Errorf("got %v (%s)", err, fault.CodeOf(err))
	}
	for _, n := range []string{"n1", "n2"} {
		eventually(t, "connections are closed", func() bool { return f.connections(t, n) == "1" })
	}
}

func TestTransportTypes(t *testing.T) {
	for from, want := range map[string]string{
		"HUGEINT": "HUGEINT", "UHUGEINT": "VARCHAR", "BIT": "VARCHAR", "BIT[3][]": "VARCHAR[3][]",
		"TIME": "TIME", "TIME WITH TIME ZONE": "VARCHAR", "TIMESTAMP WITH TIME ZONE": "TIMESTAMP WITH TIME ZONE",
		`STRUCT("BIT" INTEGER, UHUGEINT BIT, b BIT)`: `STRUCT("BIT" INTEGER, UHUGEINT VARCHAR, b VARCHAR)`,
		`STRUCT("x BIT, y" BIT, "q"" BIT)" DATE)`:    `STRUCT("x BIT, y" VARCHAR, "q"" BIT)" DATE)`,
		"ENUM('a', 'b'')', 'BIT')[]":                 "VARCHAR[]",
		"MAP(INTERVAL, ENUM(')')[])":                 "MAP(VARCHAR, VARCHAR[])",
		`STRUCT("ENUM" ENUM('x'), e DECIMAL(4,1))`:   `STRUCT("ENUM" VARCHAR, e DECIMAL(4,1))`,
		"ENUM('unfinished":                           "VARCHAR", `"unfinished`: `"unfinished`, "": "",
	} {
		if got := transportType(from); got != want {
			t.Errorf("%s: %s, want %s", from, got, strings.ReplaceAll(want, "\n", " "))
		}
	}
}

// A query whose rows DuckDB has lost is held no more, and says so.
func TestHoldEndsWhenDuckDBIsLost(t *testing.T) {
	f := newFleet(t, duck.Options{}, "n1")
	r := f.runners["n1"]
	ended, ready := make(chan error, 1), make(chan struct{})
	go func() { ended <- r.Hold(t.Context(), "q", func() { close(ready) }) }()
	<-ready
	f.keep(t, "n1", numbered(0, 0, 10))
	const stopper = "SELECT d.n3 FROM (SELECT range AS a, range + 1 AS b, 'x' AS c FROM range(9) EXCEPT ALL SELECT range, range, 'y' FROM range(5)) AS d(n1, n2, n3) ASOF LEFT JOIN (SELECT range AS k FROM range(9)) AS r ON 'x' = '' AND d.n1 > r.k"
	if _, err := r.Keep(t.Context(), &nodev1.Fragment{QueryId: "q", Number: 1, Sql: stopper}); fault.CodeOf(err) != fault.Internal && fault.CodeOf(err) != fault.Unavailable {
		t.Fatalf("got %v; if DuckDB runs the statement now, find another", err)
	}
	if err := <-ended; fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("the hold ended with %v", err)
	}
	if _, err := r.Keep(t.Context(), numbered(2, 0, 10)); fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("kept for a query that is not held: %v", err)
	}
	f.hold(t, "n1", "q")
	if res := f.keep(t, "n1", numbered(0, 0, 10)); res.Rows != 10 {
		t.Errorf("kept %v", res)
	}
}

// A read of one column gives that column, of other nodes' rows and of those
// kept here.
func TestReadOfOneColumn(t *testing.T) {
	f := newFleet(t, duck.Options{}, "n1", "n2")
	for i, n := range []string{"n1", "n2"} {
		f.hold(t, n, "q")
		f.keep(t, n, numbered(int32(i), i*10, i*10+10))
	}
	read := &nodev1.StageRead{View: "v", Columns: numberedColumns[1:], Shares: []*nodev1.KeptShare{share("n1", 0), share("n2", 1)}}
	for _, s := range read.Shares {
		s.Read.Only = "s"
	}
	got := f.run(t, "n1", &nodev1.Fragment{QueryId: "q", Reads: []*nodev1.StageRead{read}, Sql: "SELECT count(*) || min(s) || max(s) FROM v UNION ALL SELECT string_agg(column_name, ' ') FROM (DESCRIBE v)"})
	if diff := cmp.Diff([][]string{{"20row 0row 9"}, {"s"}}, got); diff != "" {
		t.Error(diff)
	}
	if _, err := f.runners["n1"].ReadKept(t.Context(), &nodev1.KeptRead{QueryId: "q", Only: "x"}); fault.CodeOf(err) != fault.InvalidArgument {
		t.Errorf("a column that is not kept: %v", err)
	}
}
