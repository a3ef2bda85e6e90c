package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"

	"skein/bench/answer"
	"skein/bench/tpch"
)

const (
	scaleEnv      = "SKEIN_TEST_SF"
	scaleDefault  = "0.1"
	lineitemParts = "4"
)

var tpchOnce sync.Mutex

// tpchData is a directory of TPC-H tables as Parquet, lineitem in several
// files, made on the first call.
func tpchData(t testing.TB) string {
	t.Helper()
	tpchOnce.Lock()
	defer tpchOnce.Unlock()
	dir := filepath.Join(shared, "tpch")
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	scale := os.Getenv(scaleEnv)
	if scale == "" {
		scale = scaleDefault
	}
	making := dir + ".making"
	others := strings.Join([]string{"nation", "region", "part", "supplier", "partsupp", "customer", "orders"}, ",")
	must(t, tpchgen(t), "parquet", "-s", scale, "--output-dir", making, "--tables", others)
	must(t, tpchgen(t), "parquet", "-s", scale, "--output-dir", making, "--tables", "lineitem", "--parts", lineitemParts)
	if err := os.Rename(making, dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// statements writes the 22 queries as files q01.sql and so on.
func statements(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for _, q := range tpch.Queries() {
		if err := os.WriteFile(filepath.Join(dir, q.Name()+".sql"), []byte(q.SQL), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// expected is what DuckDB answers over the same files: a directory of Arrow
// files, made on the first call.
func expected(t testing.TB) string {
	t.Helper()
	data := tpchData(t)
	tpchOnce.Lock()
	defer tpchOnce.Unlock()
	dir := filepath.Join(shared, "expected")
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	making := dir + ".making"
	script(t, "tpch.py", "duckdb", data, statements(t), making)
	if err := os.Rename(making, dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestTPCH loads the tables by skein load into one node and wants DuckDB's
// answers to the 22 queries, by ADBC and by JDBC.
func TestTPCH(t *testing.T) {
	t.Parallel()
	n := startNode(t, "tpch")
	loadTPCH(t, n)
	wantTPCH(t, n, n)
}

// TestTPCHOnThreeNodes is TestTPCH on a cluster. Each part of lineitem is
// loaded through another node, and the two clients ask different nodes.
func TestTPCHOnThreeNodes(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 3)
	loadTPCH(t, c.Nodes...)
	plan := c.Nodes[2].explain(t, "SELECT l_orderkey FROM lineitem WHERE l_quantity > 49")
	if !strings.HasPrefix(plan, "scan  3 fragments") {
		t.Errorf("lineitem is not scanned by three nodes:\n%s", plan)
	}
	wantTPCH(t, c.Nodes[0], c.Nodes[1])
}

func loadTPCH(t *testing.T, nodes ...*node) {
	t.Helper()
	files, err := tpch.Files(tpchData(t))
	if err != nil {
		t.Fatal(err)
	}
	for table, paths := range files {
		if len(nodes) == 1 && len(paths) > 1 {
			nodes[0].load(t, table, filepath.Join(filepath.Dir(paths[0]), "*.parquet"))
			continue
		}
		for i, path := range paths {
			nodes[i%len(nodes)].load(t, table, path)
		}
	}
}

func wantTPCH(t *testing.T, adbc, jdbc *node) {
	t.Helper()
	want, queries := expected(t), statements(t)
	byADBC, byJDBC := filepath.Join(t.TempDir(), "adbc"), filepath.Join(t.TempDir(), "jdbc")
	t.Log(script(t, "tpch.py", "adbc", adbc.GRPC, queries, byADBC))
	t.Log(must(t, tool(t, "java", javaHint),
		"--add-opens=java.base/java.nio=ALL-UNNAMED", "-Xmx512m", "-cp", jdbcJar(t), filepath.Join("testdata", "Tpch.java"), jdbc.GRPC, queries, byJDBC))
	for _, q := range tpch.Queries() {
		right := readArrow(t, filepath.Join(want, q.Name()+".arrow"))
		if q.Number != 17 && q.Number != 20 && len(right.Rows) == 0 {
			t.Errorf("%s has no rows: it tests nothing", q.Name())
		}
		for door, got := range map[string]answer.Answer{
			"ADBC": readArrow(t, filepath.Join(byADBC, q.Name()+".arrow")),
			"JDBC": readJSON(t, filepath.Join(byJDBC, q.Name()+".json")),
		} {
			for _, d := range answer.Compare(got, right, q.OrderBy) {
				t.Errorf("%s by %s: %s", q.Name(), door, d)
			}
		}
	}
}

func readArrow(t testing.TB, path string) answer.Answer {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := ipc.NewReader(f)
	if err != nil {
		t.Fatal(fmt.Errorf("%s: %w", path, err))
	}
	defer r.Release()
	var batches []arrow.RecordBatch
	for r.Next() {
		b := r.RecordBatch()
		b.Retain()
		defer b.Release()
		batches = append(batches, b)
	}
	if r.Err() != nil {
		t.Fatal(r.Err())
	}
	return answer.Of(r.Schema(), batches)
}

func readJSON(t testing.TB, path string) answer.Answer {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var a answer.Answer
	if err := json.Unmarshal(data, &a); err != nil {
		t.Fatal(fmt.Errorf("%s: %w", path, err))
	}
	return a
}
