package e2e

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

const deathsEnv = "SKEIN_TEST_DEATHS"

// TestClientsThatVanish sees to it that nothing is left on the server of
// clients that were killed in the middle of their results, or came in crowds.
func TestClientsThatVanish(t *testing.T) {
	t.Parallel()
	const (
		connections = 200
		spare       = 20 // goroutines and files that may be there for other reasons
	)
	deaths := 5 // of ten results each
	if s := os.Getenv(deathsEnv); s != "" {
		var err error
		if deaths, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	n := startNode(t, "vanish")
	out := func(args ...string) output {
		return execute(t, nil, nil, append([]string{python(t), "-B", filepath.Join("testdata", "vanish.py")}, args...)...)
	}
	if o := out("fill", n.GRPC); o.Exit != 0 {
		t.Fatalf("exit %d\n%s%s", o.Exit, o.Stdout, o.Stderr)
	}
	connected := n.gauge(t, "skein_duckdb_connections")
	goroutines, files := n.gauge(t, "go_goroutines"), n.gauge(t, "process_open_fds")
	for range deaths {
		if o := out("die", n.GRPC); !strings.Contains(o.Stdout, "begun") {
			t.Fatalf("exit %d\n%s%s", o.Exit, o.Stdout, o.Stderr)
		}
	}
	if o := out("crowd", n.GRPC, fmt.Sprint(connections)); o.Exit != 0 {
		t.Fatalf("exit %d\n%s%s", o.Exit, o.Stdout, o.Stderr)
	}
	waitFor(t, 30*time.Second, "the server is as before", func() (bool, string) {
		g, f, c := n.gauge(t, "go_goroutines"), n.gauge(t, "process_open_fds"), n.gauge(t, "skein_duckdb_connections")
		return g < goroutines+spare && f < files+spare && c <= connected,
			fmt.Sprintf("%v goroutines, %v before; %v files, %v before; %v connections to DuckDB, %v before", g, goroutines, f, files, c, connected)
	})
	if left, err := filesIn(filepath.Join(n.Dir, "spill")); err != nil || len(left) > 0 {
		t.Errorf("temporary files: %v", left)
	}
}

// gauge is one of the node's metrics.
func (n *node) gauge(t testing.TB, name string) float64 {
	t.Helper()
	r, err := http.Get("http://" + n.HTTP + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	for lines := bufio.NewScanner(r.Body); lines.Scan(); {
		var v float64
		if _, err := fmt.Sscanf(lines.Text(), name+" %g", &v); err == nil {
			return v
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}
