//go:build duckdb_arrow

package coordinator_test

import (
	"slices"
	"testing"
)

// TestDropQueuesObjects: a table that is dropped leaves its objects to the queue
// of deletions, which heeds a restore.
func TestDropQueuesObjects(t *testing.T) {
	c := newCluster(t, 1).nodes[0].Coordinator
	run(t, c, "CREATE TABLE t AS SELECT range AS n FROM range(10)")
	had := objectsOf(t, c, "t/")
	run(t, c, "DROP TABLE t")
	if left := objectsOf(t, c, "t/"); len(had) == 0 || !slices.Equal(left, had) || len(objectsOf(t, c, "metadata/deletions/")) != 1 {
		t.Errorf("%q are left of %q", left, had)
	}
}
