//go:build duckdb_arrow

package coordinator_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"skein/coordinator"
	"skein/internal/fault"
)

// TestMissingObject lets an object be gone, for all or for one worker.
func TestMissingObject(t *testing.T) {
	c := faultyCluster(t, coordinator.Options{})
	for name, sql := range divided {
		want := c.want(t, sql)
		for _, nodes := range []string{"n2", "n1 n2 n3"} {
			t.Run(name+" on "+nodes, func(t *testing.T) {
				var key string
				var mu sync.Mutex
				c.strike(func(_ context.Context, w *faultyWorker, p point, what any) error {
					if p != opening || !strings.Contains(nodes, w.id) {
						return nil
					}
					mu.Lock()
					defer mu.Unlock()
					if key == "" {
						key = what.(string)
					}
					if key != what.(string) {
						return nil
					}
					return fault.Newf(fault.NotFound, "object %s does not exist", key)
				})
				got, err := c.answered(t, sql)
				if nodes == "n2" {
					if err != nil || got != want {
						t.Errorf("%v, got:\n%.300s\nwant:\n%.300s", err, got, want)
					}
				} else if fault.CodeOf(err) != fault.Unavailable || !strings.Contains(fmt.Sprint(err), key) {
					t.Errorf("got %v, want an error that names %s", err, key)
				}
				if n := c.nodes[0].Suspects(); n > 0 {
					t.Errorf("%d workers are suspected because of an object", n)
				}
				c.settled(t)
				c.heal()
			})
		}
	}
}

// TestDamagedObject writes over parts of an object.
func TestDamagedObject(t *testing.T) {
	for name, damage := range map[string]func(data []byte) []byte{
		"empty":       func([]byte) []byte { return nil },
		"cut":         func(d []byte) []byte { return d[:len(d)/2] },
		"no Parquet":  func(d []byte) []byte { return []byte(strings.Repeat("x", len(d))) },
		"head":        func(d []byte) []byte { copy(d[4:], strings.Repeat("\xff", len(d)/4)); return d },
		"footer":      func(d []byte) []byte { copy(d[len(d)-60:], strings.Repeat("\xff", 50)); return d },
		"column data": func(d []byte) []byte { copy(d[30:], strings.Repeat("\x00", 40)); return d },
	} {
		t.Run(name, func(t *testing.T) {
			c := faultyCluster(t, coordinator.Options{})
			want := map[string]string{}
			for name, sql := range divided {
				want[name] = c.want(t, sql)
			}
			object := c.someObject(t)
			data, err := os.ReadFile(object)
			check(t, err)
			check(t, os.WriteFile(object, damage(data), 0o600))
			for name, sql := range divided {
				got, err := c.answered(t, sql)
				if err == nil && got == want[name] { // it did not need what is damaged
					continue
				}
				if err == nil {
					t.Errorf("%s: %.200s", name, got)
					continue
				}
				_, key, _ := strings.Cut(object, "/objects/objects/")
				if code := fault.CodeOf(err); code != fault.Unavailable || !strings.Contains(err.Error(), key) || strings.Contains(err.Error(), c.dir) {
					t.Errorf("%s: code %v, %v; want it to name %s", name, code, err, key)
				}
				if n := c.nodes[0].Suspects(); n > 0 {
					t.Errorf("%d workers are suspected because of an object", n)
				}
			}
			c.settled(t)
		})
	}
}

// someObject is the path of a file of table t.
func (c *cluster) someObject(t testing.TB) (path string) {
	t.Helper()
	check(t, filepath.Walk(filepath.Join(c.dir, "objects"), func(p string, info os.FileInfo, err error) error {
		if err == nil && strings.Contains(p, "/t/id-3/") && strings.HasSuffix(p, ".parquet") {
			path = p
		}
		return err
	}))
	if path == "" {
		t.Fatal("no object")
	}
	return path
}

// TestOneBadRow wants DuckDB's own error where one row cannot be cast.
func TestOneBadRow(t *testing.T) {
	c := faultyCluster(t, coordinator.Options{})
	o := newOracle(t, "CREATE TABLE t AS SELECT 'id-' || (range % 6) AS id, range AS n, range::VARCHAR AS s FROM range(300)", "CREATE TABLE u AS SELECT range + 150 AS n FROM range(300)",
		"INSERT INTO t VALUES ('id-3', 5000, 'x17')")
	check(t, c.nodes[0].Write(t.Context(), "t", []coordinator.Record{{ID: "id-3", Timestamp: start, Payload: []byte(`{"n": 5000, "s": "x17"}`)}}))
	check(t, c.nodes[0].Flush(t.Context(), ""))
	for _, sql := range []string{
		"SELECT sum(CAST(s AS INTEGER)) FROM t",
		"SELECT n % 7 AS k, sum(CAST(s AS INTEGER)) FROM t GROUP BY 1",
		"SELECT count(*) FROM t WHERE CAST(s AS INTEGER) > 3",
		"SELECT count(*) FROM t JOIN u ON CAST(t.s AS BIGINT) = u.n",
		"SELECT n % 7 AS k, median(CAST(s AS INTEGER)) FROM t GROUP BY 1",
		"SELECT n, CAST(x AS INTEGER) FROM (SELECT n, max(s) AS x FROM t GROUP BY n)",
		"SELECT n, sum(CAST(s AS INTEGER)) OVER (PARTITION BY n % 10) FROM t",
		"SELECT k, median(CAST(c AS INTEGER)) FROM (SELECT n % 3 AS k, n % 50 AS j, max(s) AS c FROM t GROUP BY 1, 2) GROUP BY 1",
		"SELECT CAST(s AS INTEGER) FROM t ORDER BY n",
	} {
		_, want := o.conn.Strings(t.Context(), sql)
		_, err := c.answered(t, sql)
		if want == nil || err == nil || fault.CodeOf(err) != fault.CodeOf(want) || complaint(err) != complaint(want) {
			t.Errorf("%s:\ngot  %v\nwant %v", sql, err, want)
		}
		c.settled(t)
	}
	if n := c.nodes[0].Suspects(); n > 0 {
		t.Errorf("%d workers are suspected because of a value", n)
	}
}

// complaint is an error without the column that DuckDB saw: a stage may have
// another name for it.
func complaint(err error) string {
	text, _, _ := strings.Cut(err.Error(), " when casting from source column")
	return text
}
