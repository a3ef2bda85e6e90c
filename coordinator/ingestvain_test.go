//go:build duckdb_arrow

package coordinator_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"skein/coordinator"
	"skein/internal/fault"
	"skein/meta"
	"skein/objstore"
)

// foundStore refuses a commit, whose files a rebuild has put into the index
// before.
type foundStore struct{ meta.Store }

var errRefused = fault.New(fault.FailedPrecondition, "the commit is refused")

func (s foundStore) Commit(ctx context.Context, m meta.Commit) error {
	m.Unit, m.Add = "rebuild", m.Add[:1]
	return errors.Join(s.Store.Commit(ctx, m), errRefused)
}

// TestFailedIngestBesideRebuild: a load that cannot commit deletes its objects,
// but for those that a rebuild has put into the index.
func TestFailedIngestBesideRebuild(t *testing.T) {
	cluster := newCluster(t, 1)
	c := cluster.nodes[0].Coordinator
	run(t, c, `CREATE TABLE t (id VARCHAR, "timestamp" TIMESTAMPTZ, n BIGINT) WITH (time = 'timestamp')`)
	c.Meta = foundStore{cluster.meta}
	s := newStream(0, 100)
	defer s.Close()
	if _, err := c.Ingest(t.Context(), coordinator.Ingest{Table: "t"}, s); !errors.Is(err, errRefused) {
		t.Fatal(err)
	}
	c.Meta = cluster.meta
	l, err := cluster.meta.Listing(t.Context(), "t")
	check(t, err)
	if left := objectsOf(t, c, "t/"); len(left) != 1 || len(l.Files) != 1 || left[0] != l.Files[0].Path {
		t.Errorf("%q are left, the index has %+v", left, l.Files)
	}
	if _, err := rows(t, c, "SELECT count(*) FROM t", nil); err != nil {
		t.Error(err)
	}
}

// objectsOf are the keys below a prefix.
func objectsOf(t *testing.T, c *coordinator.Coordinator, prefix string) (keys []string) {
	t.Helper()
	for o, err := range c.Objects.(objstore.Store).List(t.Context(), prefix) {
		check(t, err)
		keys = append(keys, o.Key)
	}
	return keys
}

func run(t *testing.T, c *coordinator.Coordinator, sql string) {
	t.Helper()
	if _, err := c.Execute(t.Context(), sql, nil); err != nil {
		t.Fatal(err)
	}
}

// brokenStore fails, or loses its answers, where a table takes the place of
// another.
type brokenStore struct {
	meta.Store
	stage   error
	before  error
	after   error
	between func()
	times   int
}

func (s *brokenStore) StageFiles(ctx context.Context, table, stage string, files []meta.File) error {
	return errors.Join(s.stage, s.Store.StageFiles(ctx, table, stage, files))
}

func (s *brokenStore) ReplaceTable(ctx context.Context, r meta.Replacement) (meta.Table, error) {
	if s.times--; s.times < 0 {
		return s.Store.ReplaceTable(ctx, r)
	}
	if s.between != nil {
		s.between()
	}
	if s.before != nil {
		return meta.Table{}, s.before
	}
	t, err := s.Store.ReplaceTable(ctx, r)
	return t, errors.Join(err, s.after)
}

// TestReplaceIsOneStep: CREATE OR REPLACE that fails anywhere leaves the old
// table whole, with its objects; readers see all old or all new rows.
func TestReplaceIsOneStep(t *testing.T) {
	cluster := newCluster(t, 1)
	c := cluster.nodes[0].Coordinator
	const always = 1 << 30
	lost := fault.New(fault.Unavailable, "connection reset")
	for _, x := range []struct {
		name  string
		store brokenStore
		fails bool
	}{
		{"nothing", brokenStore{}, false},
		{"no stage", brokenStore{stage: errRefused}, true},
		{"no replacement", brokenStore{before: errRefused, times: always}, true},
		{"an answer lost", brokenStore{after: lost, times: 1}, false},
		{"a call lost", brokenStore{before: lost, times: 1}, false},
		{"rows that came meanwhile", brokenStore{times: 1, between: func() {
			s := newStream(1000, 10)
			defer s.Close()
			if _, err := c.Ingest(t.Context(), coordinator.Ingest{Table: "t"}, s); err != nil {
				t.Error(err)
			}
		}}, false},
	} {
		t.Run(x.name, func(t *testing.T) {
			c.Meta = cluster.meta
			run(t, c, "CREATE OR REPLACE TABLE t AS SELECT range::VARCHAR AS id, now() AS timestamp, range AS n FROM range(50)")
			old := objectsOf(t, c, "t/")
			x.store.Store = cluster.meta
			c.Meta = &x.store
			_, err := c.Execute(t.Context(), "CREATE OR REPLACE TABLE t AS SELECT 'x' AS id, now() AS timestamp, range AS n FROM range(7)", nil)
			c.Meta = cluster.meta
			if (err != nil) != x.fails {
				t.Errorf("error %v", err)
			}
			want := "7"
			if x.fails {
				want = "50"
			}
			if got := one(t, c, "SELECT count(*) FROM t"); got != want {
				t.Errorf("%s rows, want %s", got, want)
			}
			left := objectsOf(t, c, "t/")
			for _, key := range old {
				if !slices.Contains(left, key) {
					t.Errorf("object %s of the old table is deleted", key)
				}
			}
			if x.fails && len(left) != len(old) {
				t.Errorf("%d objects, had %d: those of the new table stay", len(left), len(old))
			}
			if !x.fails && len(objectsOf(t, c, "metadata/deletions/")) == 0 {
				t.Error("the objects of the old table are not in the queue of deletions")
			}
		})
	}
}

// TestReplaceBesideReaders: no reader ever sees no table, no rows or some.
func TestReplaceBesideReaders(t *testing.T) {
	c := newCluster(t, 2)
	first, other := c.nodes[0].Coordinator, c.nodes[1].Coordinator
	run(t, first, "CREATE TABLE t AS SELECT range AS n FROM range(10)")
	ctx, stop := context.WithCancel(t.Context())
	var reading sync.WaitGroup
	seen := map[string]int{}
	reading.Go(func() {
		for ctx.Err() == nil {
			got, err := rows(t, other, "SELECT count(*), max(n) FROM t", nil)
			if err != nil {
				t.Error(err)
				return
			}
			seen[got[0][0]+" "+got[0][1]]++
		}
	})
	for range 15 {
		run(t, first, "CREATE OR REPLACE TABLE t AS SELECT range AS n FROM range(20)")
		run(t, first, "CREATE OR REPLACE TABLE t AS SELECT range AS n FROM range(10)")
	}
	stop()
	reading.Wait()
	for got := range seen {
		if got != "10 9" && got != "20 19" {
			t.Errorf("a reader saw count and maximum %s", got)
		}
	}
	if len(seen) == 0 {
		t.Error("nothing was read")
	}
}
