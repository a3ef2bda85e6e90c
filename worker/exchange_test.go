package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"

	"skein/internal/batch"
	"skein/internal/duck"
	nodev1 "skein/proto/node/v1"
)

// fleet is some nodes with a Runner and a DuckDB each, that read each other's
// kept rows as messages.
type fleet struct {
	runners map[string]*Runner
	dbs     map[string]*duck.DB
	fail    func(node string) error // of a read of its kept rows; may be nil
}

func newFleet(t testing.TB, o duck.Options, nodes ...string) *fleet {
	t.Helper()
	f := &fleet{runners: map[string]*Runner{}, dbs: map[string]*duck.DB{}}
	if o.Threads == 0 {
		o.Threads = 2
	}
	for _, n := range nodes {
		o.TempDir = t.TempDir()
		db, err := duck.Open(o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(db.Close)
		f.dbs[n] = db
		f.runners[n] = NewRunner(db, &Splits{NodeID: n, FetchKept: f.fetch})
	}
	return f
}

// fetch is a peer's ReadKept with each batch written and read as a message.
func (f *fleet) fetch(ctx context.Context, address string, read *nodev1.KeptRead) (batch.Reader, error) {
	if f.fail != nil {
		if err := f.fail(address); err != nil {
			return nil, err
		}
	}
	r, err := f.runners[address].ReadKept(ctx, read)
	if err != nil {
		return nil, err
	}
	return &messages{Reader: r}, nil
}

// messages writes batches and reads them back.
type messages struct {
	batch.Reader
	read *ipc.Reader
}

func (m *messages) Next(ctx context.Context) (arrow.RecordBatch, error) {
	b, err := m.Reader.Next(ctx)
	if err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	w := ipc.NewWriter(&buf, ipc.WithSchema(b.Schema()))
	if err := errors.Join(w.Write(b), w.Close()); err != nil {
		return nil, err
	}
	if m.read != nil {
		m.read.Release()
	}
	if m.read, err = ipc.NewReader(&buf); err != nil {
		return nil, err
	}
	m.read.Next()
	return m.read.RecordBatch(), m.read.Err()
}

func (m *messages) Close() error {
	if m.read != nil {
		m.read.Release()
		m.read = nil
	}
	return m.Reader.Close()
}

// hold holds a query on a node until the test or the returned function ends it.
func (f *fleet) hold(t testing.TB, node, query string) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- f.runners[node].Hold(ctx, query, func() { close(ready) }) }()
	select {
	case <-ready:
	case err := <-done:
		t.Fatal(err)
	}
	ended := false
	end = func() {
		if ended {
			return
		}
		ended = true
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("hold on %s: %v", node, err)
		}
	}
	t.Cleanup(end)
	return end
}

func (f *fleet) keep(t testing.TB, node string, m *nodev1.Fragment) *nodev1.KeepResponse {
	t.Helper()
	res, err := f.runners[node].Keep(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// share is what a fragment of query q, stage 0, kept on a node.
func share(node string, number int32) *nodev1.KeptShare {
	return &nodev1.KeptShare{NodeId: node, Address: node, Read: &nodev1.KeptRead{QueryId: "q", Number: number}}
}

func part(s *nodev1.KeptShare, n, of int32, keys ...string) *nodev1.KeptShare {
	s.Read.Keys, s.Read.Part, s.Read.Parts = keys, n, of
	return s
}

func (f *fleet) run(t testing.TB, node string, m *nodev1.Fragment) [][]string {
	t.Helper()
	r, err := f.runners[node].Run(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	rows, err := texts(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func texts(ctx context.Context, r batch.Reader) (rows [][]string, err error) {
	for {
		b, err := r.Next(ctx)
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return rows, err
		}
		for i := range int(b.NumRows()) {
			row := make([]string, b.NumCols())
			for j := range row {
				row[j] = strings.Clone(b.Column(j).ValueStr(i))
			}
			rows = append(rows, row)
		}
	}
}

// edges are values of every type, beside those of test_all_types.
var edges = map[string][]string{
	"HUGEINT":                            {"-170141183460469231731687303715884105728", "170141183460469231731687303715884105727", "-1", "0", "99999999999999999999999999999999999999"},
	"UHUGEINT":                           {"'340282366920938463463374607431768211455'", "0", "1"},
	"UUID":                               {"'00000000-0000-0000-0000-000000000000'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'", "'80000000-0000-0000-0000-000000000001'"},
	"BIT":                                {"'1'", "'0'", "'00000000'", "'101010101'", "repeat('01', 500)"},
	"TIME":                               {"'00:00:00'", "'24:00:00'", "'23:59:59.999999'"},
	"TIME_NS":                            {"'00:00:00'", "'23:59:59.999999999'"},
	"TIME WITH TIME ZONE":                {"'00:00:00+15:59:59'", "'24:00:00-15:59:59'", "'12:34:56.123456+05:45'", "'00:00:00+00'"},
	"TIMESTAMP":                          {"'infinity'", "'-infinity'", "'290309-12-22 (BC) 00:00:00'", "'294247-01-10 04:00:54.775806'", "'1969-12-31 23:59:59.999999'"},
	"TIMESTAMP_S":                        {"'infinity'", "'290309-12-22 (BC) 00:00:00'", "'294247-01-10 04:00:54'", "'1969-12-31 23:59:59'"},
	"TIMESTAMP_MS":                       {"'infinity'", "'294247-01-10 04:00:54.775'", "'1969-12-31 23:59:59.999'"},
	"TIMESTAMP_NS":                       {"'infinity'", "'1677-09-22 00:00:00'", "'2262-04-11 23:47:16.854775806'", "'1969-12-31 23:59:59.999999999'"},
	"TIMESTAMP WITH TIME ZONE":           {"'infinity'", "'-infinity'", "'294247-01-10 04:00:54.775806+00'", "'1969-12-31 23:59:59.999999+00'"},
	"DATE":                               {"'infinity'", "'-infinity'", "'5877642-06-25 (BC)'", "'5881580-07-10'"},
	"INTERVAL":                           {"to_microseconds(3599999999999999999)", "to_microseconds(-3599999999999999999)", "to_months(2147483647)", "to_days(-2147483648)", "to_months(-14) + to_days(3) + to_microseconds(-1)", "to_months(1) + to_days(-30) + to_microseconds(86400000000)"},
	"BIGNUM":                             {"'0'", "'-1'", "repeat('9', 300)", "'-' || repeat('8', 300)"},
	"BLOB":                               {"''", `'\x00\xFF'`, "'a'", "repeat('x', 30000)"},
	"VARCHAR":                            {"''", "chr(0) || 'x'", "'🦆'", "repeat('é', 30000)"},
	"DOUBLE":                             {"'nan'", "'-inf'", "'-0.0'", "5e-324", "1.7976931348623157e308"},
	"FLOAT":                              {"'nan'", "'inf'", "'-0.0'", "1e-45"},
	"DECIMAL(4,1)":                       {"-999.9", "999.9"},
	"DECIMAL(9,0)":                       {"-999999999", "999999999"},
	"DECIMAL(18,18)":                     {"-0.999999999999999999", "0.999999999999999999"},
	"DECIMAL(38,0)":                      {"-99999999999999999999999999999999999999", "99999999999999999999999999999999999999"},
	"DECIMAL(38,38)":                     {"'-0.99999999999999999999999999999999999999'"},
	"JSON":                               {`'{"a": [1, 2.50, null, "\u00e9"], "a": 1e400}'`, "'null'", "'\"x\"'", "' 12345678901234567890123 '"},
	"ENUM('a', 'it''s', 'x)', '\"', '')": {"'a'", "'it''s'", "'x)'", "'\"'", "''"},
	"BOOLEAN":                            {"true", "false"},
	"UBIGINT":                            {"18446744073709551615"},
	"BIGINT":                             {"-9223372036854775808"},
	"UTINYINT":                           {"255"},
}

// nestings put a type %s with a value v into others.
var nestings = [][2]string{
	{"%s[]", "[v, NULL, v]"},
	{"%s[3]", "[v, NULL, v]"},
	{`STRUCT(a %s, "BIT" INTEGER, "UHUGEINT" INTEGER, "b "" ' c" %[1]s[])`, `{'a': v, 'BIT': 1, 'UHUGEINT': 2, 'b " '' c': [v]}`},
	{"MAP(VARCHAR, %s)", "MAP {'k': v, 'n': NULL}"},
	{"MAP(%s, INTEGER)", "MAP {v: 1}"},
	{"UNION(w VARCHAR, x %s, y %[1]s)", "union_value(y := v)"},
	{"STRUCT(m MAP(%s, %[1]s[])[])[]", "[{'m': [MAP {v: [v]}, NULL]}, NULL]"},
}

// samples are statements that give columns of every type, nested, too.
func samples(types [][]string) []string {
	all := []string{"SELECT [] AS c1, {'a': NULL} AS c2, MAP {} AS c3, NULL AS c4", "SELECT 1::HUGEINT AS c1 WHERE false"}
	var columns []string
	for _, c := range types {
		name := duck.Ident(c[0])
		columns = append(columns, name, "["+name+"] AS "+duck.Ident(c[0]+" in a list"))
	}
	all = append(all, "SELECT "+strings.Join(columns, ", ")+" FROM test_all_types()")
	for typ, values := range edges {
		rows := []string{"SELECT CAST(NULL AS " + typ + ") AS v"}
		for _, v := range values {
			rows = append(rows, "SELECT CAST("+v+" AS "+typ+")")
		}
		columns := []string{"v"}
		for i, n := range nestings {
			columns = append(columns, fmt.Sprintf("CAST(CASE WHEN v IS NOT NULL THEN %s END AS %s) AS c%d", n[1], fmt.Sprintf(n[0], typ), i))
		}
		all = append(all, "SELECT "+strings.Join(columns, ", ")+" FROM ("+strings.Join(rows, " UNION ALL ")+")")
	}
	return all
}

// TestEveryTypeTravelsWithoutLoss compares what went to another node, and from
// there back to the first, with what it was.
func TestEveryTypeTravelsWithoutLoss(t *testing.T) {
	f := newFleet(t, duck.Options{}, "n1", "n2")
	f.hold(t, "n1", "q")
	f.hold(t, "n2", "q")
	conn, err := f.dbs["n1"].Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	types, err := conn.Strings(t.Context(), "SELECT column_name FROM (DESCRIBE FROM test_all_types())")
	if err != nil {
		t.Fatal(err)
	}
	for i, sql := range samples(types) {
		times := 1000                                                                  // so that there is more than one chunk of DuckDB's
		if strings.Contains(sql, "repeat(") || strings.Contains(sql, "AS UHUGEINT)") { // large, or slow as text
			times = 10
		}
		number := int32(i)
		kept, err := f.runners["n1"].Keep(t.Context(), &nodev1.Fragment{QueryId: "q", Number: number,
			Sql: fmt.Sprintf("SELECT row_number() OVER () AS i, s.* FROM range(%d) r, (%s) s ORDER BY r.range LIMIT 2500", times, sql)})
		if err != nil {
			t.Errorf("%.200s: %v", sql, err)
			continue
		}
		there := &nodev1.StageRead{View: "v", Columns: kept.Columns, Shares: []*nodev1.KeptShare{share("n1", number)}}
		copied, err := f.runners["n2"].Keep(t.Context(), &nodev1.Fragment{QueryId: "q", Number: number, Sql: "FROM v", Reads: []*nodev1.StageRead{there}})
		if err != nil {
			t.Errorf("%.200s: %v", sql, err)
			continue
		}
		back := &nodev1.StageRead{View: "back", Columns: copied.Columns, Shares: []*nodev1.KeptShare{share("n2", number)}}
		for j, c := range kept.Columns {
			if back := copied.Columns[j]; back.Name != c.Name || back.Type != c.Type {
				t.Errorf("%s %s became %s %s", c.Name, c.Type, back.Name, back.Type)
			}
		}
		diffs := make([]string, len(kept.Columns))
		for j, c := range kept.Columns {
			was, is := "v."+duck.Ident(c.Name), "back."+duck.Ident(c.Name)
			differ := fmt.Sprintf("%s IS DISTINCT FROM %s OR %[1]s::VARCHAR IS DISTINCT FROM %[2]s::VARCHAR", was, is)
			diffs[j] = fmt.Sprintf("count(*) FILTER (%s) || coalesce(' such as ' || min(%s::VARCHAR || ', became ' || %s::VARCHAR) FILTER (%[1]s), '')", differ, was, is)
		}
		got := f.run(t, "n1", &nodev1.Fragment{QueryId: "q", Reads: []*nodev1.StageRead{there, back}, Sql: "SELECT " + strings.Join(diffs, ", ") + " FROM v FULL JOIN back USING (i)"})
		for j, c := range kept.Columns {
			if got[0][j] != "0" {
				t.Errorf("%s travels as %s: %s", c.Type, transportType(c.Type), got[0][j])
			}
		}
	}
}
