package e2e

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestPartitions reads a result's parts in several processes, from the workers
// themselves and, when one is dead, from the others.
func TestPartitions(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 3, "--auth-file", authFile(t))
	const files, rows = 6, 100_000
	n1, dir := c.Nodes[0], t.TempDir()
	fill := func(sql string) { script(t, "partitions.py", "fill", sql, n1.GRPC, "ann", "right") }
	fill("CREATE TABLE parts (n BIGINT, s VARCHAR)")
	for i := range files {
		fill(fmt.Sprintf("INSERT INTO parts SELECT range + %d, md5(range::VARCHAR) FROM range(%d)", i*rows, rows))
	}
	c.waitFlushed("parts")
	all := files * rows
	want := fmt.Sprint(all, " ", all*(all-1)/2)

	made := filepath.Join(dir, "made")
	count := makeParts(t, made, n1.GRPC, "SELECT n, s FROM parts")
	if count < 2 {
		t.Fatalf("%d partitions", count)
	}
	if got := readParts(t, made, c.Nodes[2].GRPC); got != want {
		t.Errorf("read %s, want %s", got, want)
	}
	// Sums, orders and limits are of the whole.
	whole := filepath.Join(dir, "whole")
	for _, sql := range []string{"SELECT sum(n) AS n FROM parts", "SELECT n FROM parts ORDER BY n", "SELECT n FROM parts LIMIT 10"} {
		if n := makeParts(t, whole, n1.GRPC, sql); n != 1 {
			t.Errorf("%s: %d partitions", sql, n)
		}
	}
	// Another user's ticket is no use.
	o := execute(t, nil, nil, python(t), "-B", filepath.Join("testdata", "partitions.py"), "read", made, n1.GRPC, "rita", "readonly")
	if o.Exit == 0 || !strings.Contains(o.Stderr, "another user") {
		t.Errorf("rita: exit %d\n%s%s", o.Exit, o.Stdout, o.Stderr)
	}
	c.Nodes[1].Kill()
	if got := readParts(t, made, n1.GRPC); got != want {
		t.Errorf("with a dead worker: read %s, want %s", got, want)
	}
}

func makeParts(t *testing.T, file, address, sql string) int {
	t.Helper()
	n, err := strconv.Atoi(strings.TrimSpace(script(t, "partitions.py", "make", file, address, "ann", "right", sql)))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func readParts(t *testing.T, file, address string) string {
	t.Helper()
	return strings.TrimSpace(script(t, "partitions.py", "read", file, address, "ann", "right"))
}
