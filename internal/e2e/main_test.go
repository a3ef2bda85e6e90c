package e2e

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

const (
	binaryEnv = "SKEIN_TEST_BINARY"
	// testsAtOnce is more than there may be cores: many tests wait for the
	// clock, not for a core.
	testsAtOnce = "4"
)

// shared is a directory of the whole run: the binary and generated data.
var shared string

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", testsAtOnce); err != nil {
		panic("BUG: " + err.Error())
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "skein-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	shared = dir
	return m.Run()
}

// lookAtSources makes go test run the tests again when any source of the
// program has changed: it keeps a result as long as the files that the tests
// looked at are the same, and does not know of what the binary is built from.
// It does not see what happens before m.Run.
func lookAtSources() error {
	return filepath.WalkDir(filepath.Join("..", ".."), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == ".git" || d.Name() == "bin") {
			return filepath.SkipDir
		}
		if !d.Type().IsRegular() {
			return nil
		}
		_, err = os.Stat(path)
		return err
	})
}

// build makes the binary on the first call.
var build = sync.OnceValues(func() (string, error) {
	if err := lookAtSources(); err != nil {
		return "", err
	}
	if path := os.Getenv(binaryEnv); path != "" {
		if _, err := os.Stat(path); err != nil {
			return "", fmt.Errorf("%s: %w", binaryEnv, err)
		}
		return filepath.Abs(path)
	}
	path := filepath.Join(shared, "skein")
	out, err := exec.Command("go", "build", "-tags", "duckdb_arrow", "-o", path, "skein/cmd/skein").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

func binary(t testing.TB) string {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return path
}
