//go:build duckdb_arrow

package coordinator_test

import (
	"context"
	"testing"

	"skein/coordinator"
	"skein/meta"
)

// betweenStore does something once, between the reads of a snapshot.
type betweenStore struct {
	meta.Store
	do func()
}

func (s *betweenStore) Version(ctx context.Context, table string) (int64, error) {
	if do := s.do; do != nil {
		s.do = nil
		do()
	}
	return s.Store.Version(ctx, table)
}

// TestTableReplacedWhileItIsRead reads a table that is dropped and made again
// with other columns between the reads of its schema and of its index.
func TestTableReplacedWhileItIsRead(t *testing.T) {
	for name, cached := range map[string]bool{"listing read": false, "listing known": true} {
		t.Run(name, func(t *testing.T) {
			cluster := newCluster(t, 1)
			c := cluster.nodes[0].Coordinator
			put := func(payload string) {
				create(t, c, "t")
				check(t, c.Write(t.Context(), "t", []coordinator.Record{{ID: "x", Timestamp: start, Payload: []byte(payload)}}))
				check(t, c.Flush(t.Context(), "t"))
			}
			put(`{"a": 1}`)
			c.Meta = &betweenStore{Store: cluster.meta, do: func() {
				_, err := c.Execute(t.Context(), "DROP TABLE t", nil)
				check(t, err)
				put(`{"b": 2}`)
				if cached {
					one(t, c, "SELECT count(*) FROM t")
				}
			}}
			if got := one(t, c, "SELECT b FROM t"); got != "2" {
				t.Errorf("got %s", got)
			}
			c.Meta = cluster.meta
		})
	}
}
