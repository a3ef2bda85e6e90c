package e2e

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestExamples runs each program of examples against an open node and one with
// users.
func TestExamples(t *testing.T) {
	t.Parallel()
	dir := filepath.Join("..", "..", "examples")
	goRun := []string{tool(t, "go", "install Go"), "run"}
	programs := map[string]struct {
		argv []string
		last string // word of the output
	}{
		"python/quickstart": {[]string{python(t), "-B", filepath.Join(dir, "python", "quickstart.py")}, "now 6 rows"},
		"python/frames":     {[]string{python(t), "-B", filepath.Join(dir, "python", "frames.py")}, "[('Lima', 11.0), ('Pune', 5.5)]"},
		"python/parallel":   {[]string{python(t), "-B", filepath.Join(dir, "python", "parallel.py"), "SELECT range AS n FROM range(1000)"}, "1000 rows in 1 partitions, columns ['n']"},
		"java":              {[]string{tool(t, "java", javaHint), "--add-opens=java.base/java.nio=ALL-UNNAMED", "-cp", jdbcJar(t), filepath.Join(dir, "java", "Quickstart.java")}, "km: DOUBLE"},
		"go/adbc":           {append(slices.Clip(goRun), "skein/examples/go/adbc"), "Lima 11"},
		"go/sql":            {append(slices.Clip(goRun), "skein/examples/go/sql"), "Lima 11"},
	}
	open, guarded := startNode(t, "open"), startNode(t, "users", "--auth-file", authFile(t))
	for name, p := range programs {
		for server, args := range map[string][]string{"open": {open.GRPC}, "guarded": {guarded.GRPC, "ann", "right"}} {
			t.Run(name+" on "+server, func(t *testing.T) {
				if out := must(t, slices.Concat(p.argv, args)...); !strings.Contains(out, p.last) {
					t.Errorf("no %q in\n%s", p.last, out)
				}
			})
		}
	}
}
