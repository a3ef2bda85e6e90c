//go:build duckdb_arrow

package coordinator_test

import (
	"context"
	"errors"
	"testing"

	"skein/coordinator"
	"skein/internal/fault"
	"skein/meta"
)

// lossyStore commits, but the answers are lost.
type lossyStore struct {
	meta.Store
	lost int
	err  error
}

func (s *lossyStore) Commit(ctx context.Context, m meta.Commit) error {
	err := s.Store.Commit(ctx, m)
	if s.lost--; err == nil && s.lost >= 0 {
		return s.err
	}
	return err
}

// TestIngestSurvivesLostAnswers sees to it that the files of a commit that was
// made are not deleted because nobody heard of it.
func TestIngestSurvivesLostAnswers(t *testing.T) {
	cluster := newCluster(t, 1)
	c := cluster.nodes[0].Coordinator
	if _, err := c.Execute(t.Context(), "CREATE TABLE t (id VARCHAR, \"timestamp\" TIMESTAMPTZ, n BIGINT)", nil); err != nil {
		t.Fatal(err)
	}
	load := func(from int) (int64, error) {
		s := newStream(from, 100)
		defer s.Close()
		return c.Ingest(t.Context(), coordinator.Ingest{Table: "t"}, s)
	}
	gone := fault.New(fault.Unavailable, "connection reset")
	c.Meta = &lossyStore{Store: cluster.meta, lost: 1, err: gone}
	if n, err := load(0); n != 100 || err != nil {
		t.Errorf("one answer lost: %d, %v", n, err)
	}
	c.Meta = &lossyStore{Store: cluster.meta, lost: 1000, err: gone}
	if _, err := load(100); !errors.Is(err, gone) {
		t.Errorf("all answers lost: %v", err)
	}
	c.Meta = cluster.meta
	if got := one(t, c, "SELECT count(*) || ' ' || count(DISTINCT n) FROM t"); got != "200 200" {
		t.Errorf("got %s", got)
	}
}
