package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "skein"

// allowed says, for each top-level package and all below it, which others of
// this module it may import. Generated code in proto imports nothing of ours
// but is imported wherever messages are spoken.
var allowed = map[string][]string{
	"cmd":         {"gateway", "flight", "bench", "coordinator", "worker", "meta", "objstore", "proto", "internal"},
	"gateway":     {"coordinator", "meta", "proto", "internal"},
	"flight":      {"coordinator", "meta", "proto", "internal"},
	"bench":       {"meta", "internal"},
	"coordinator": {"planner", "worker", "meta", "objstore", "proto", "internal"},
	"planner":     {},
	"worker":      {"meta", "objstore", "proto", "internal"},
	"meta":        {"internal"},
	"objstore":    {"internal"},
	"proto":       {},
	"examples":    {}, // programs of users: they know the public protocols alone
}

// leaves are the packages below internal that product code may import; the
// rest are for tests. They import nothing of ours but one another.
var leaves = []string{"internal/fault", "internal/batch", "internal/duck", "internal/render", "internal/launch"}

// imports reads the sources themselves and returns, for each product file,
// which packages of this module it imports.
func imports(t *testing.T, root string) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && file != root && (strings.HasPrefix(name, ".") || name == "testdata") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, file)
		found[filepath.ToSlash(rel)] = ours(parsed)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func ours(f *ast.File) []string {
	list := []string{}
	for _, i := range f.Imports {
		p, _ := strconv.Unquote(i.Path.Value)
		if rest, ok := strings.CutPrefix(p, module+"/"); ok {
			list = append(list, rest)
		}
	}
	return list
}

// violation tells what is wrong with an import; empty if nothing is.
func violation(file, imported string) string {
	from, to := top(file), top(imported)
	if from == to && from != "internal" {
		return ""
	}
	if from == "internal" {
		if slices.ContainsFunc(leaves, func(l string) bool { return path.Dir(file) == l }) && !slices.Contains(leaves, imported) {
			return "a leaf imports what stands above it"
		}
		return ""
	}
	if !slices.Contains(allowed[from], to) {
		return from + " may not import " + to
	}
	if to == "internal" && !slices.Contains(leaves, imported) && !isTestSupport(file) {
		return "product code imports a package for tests"
	}
	return ""
}

// isTestSupport tells the packages that only tests import.
func isTestSupport(file string) bool {
	return strings.HasSuffix(path.Dir(file), "test")
}

func top(p string) string {
	first, _, _ := strings.Cut(p, "/")
	return first
}

func TestImportsPointDownwards(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		t.Fatal(err)
	}
	files := imports(t, root)
	if len(files) < 50 {
		t.Fatalf("only %d files found below %s", len(files), root)
	}
	for file, list := range files {
		if _, ok := allowed[top(file)]; !ok && top(file) != "internal" {
			t.Errorf("%s: folder %s is not in the plan of the house", file, top(file))
		}
		for _, p := range list {
			if why := violation(file, p); why != "" {
				t.Errorf("%s imports %s: %s", file, p, why)
			}
		}
	}
}

func TestViolationsAreFound(t *testing.T) {
	for _, c := range []struct {
		file, imported string
		bad            bool
	}{
		{"planner/plan.go", "internal/fault", true},
		{"meta/store.go", "worker", true},
		{"worker/run.go", "coordinator", true},
		{"gateway/service.go", "worker", true},
		{"flight/server.go", "gateway/auth", true},
		{"internal/fault/fault.go", "meta", true},
		{"coordinator/query.go", "internal/realtest", true},
		{"coordinator/query.go", "planner", false},
		{"meta/redismeta/store.go", "meta", false},
		{"meta/metatest/suite.go", "internal/realtest", false},
	} {
		if got := violation(c.file, c.imported) != ""; got != c.bad {
			t.Errorf("%s imports %s: violation %v, want %v", c.file, c.imported, got, c.bad)
		}
	}
}
