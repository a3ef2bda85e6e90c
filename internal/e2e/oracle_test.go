package e2e

import (
	"strings"
	"testing"
)

// TestOracle runs the statements of testdata/oracle on one node and compares
// each answer with that of a plain DuckDB over the same rows.
func TestOracle(t *testing.T) {
	t.Parallel()
	compareWithDuckDB(t, startNode(t, "oracle"))
}

// TestOracleOnThreeNodes is TestOracle on a cluster: rows are written to and
// queries are sent to every node in turn.
func TestOracleOnThreeNodes(t *testing.T) {
	t.Parallel()
	compareWithDuckDB(t, startCluster(t, 3).Nodes...)
}

func compareWithDuckDB(t *testing.T, nodes ...*node) {
	t.Helper()
	var http, grpc []string
	for _, n := range nodes {
		http, grpc = append(http, n.HTTP), append(grpc, n.GRPC)
	}
	t.Log(script(t, "oracle/compare.py", "--http", strings.Join(http, ","), "--grpc", strings.Join(grpc, ","), "--skein", binary(t)))
}
