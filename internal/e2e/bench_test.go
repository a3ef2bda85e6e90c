package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// TestBenchStartsItsOwnServers runs the suites that need no server, small, and
// wants their reports whole and nothing left behind.
func TestBenchStartsItsOwnServers(t *testing.T) {
	t.Parallel()
	report, temp := filepath.Join(t.TempDir(), "report.json"), t.TempDir()
	minio := os.Getenv("SKEIN_TEST_MINIO")
	if minio == "" {
		minio = "minio"
	}
	o := execute(t, nil, nil, binary(t), "bench", "plan", "divide", "--data", tpchData(t), "--minio", minio, "--threads", nodeThreads,
		"--queries", "1,4,22", "--plan-files", "12000", "--plan-runs", "2", "--workers", "1,3", "--temp-dir", temp, "--json", report)
	if o.Exit != 0 {
		t.Fatalf("exit %d: %s%s", o.Exit, o.Stdout, o.Stderr)
	}
	text, err := os.ReadFile(report)
	if err != nil {
		t.Fatal(err)
	}
	var r struct {
		Plan struct {
			Statements []struct {
				Name  string
				P50   float64 `json:"p50_ms"`
				Kept  int     `json:"files_kept"`
				Known int     `json:"files_known"`
			}
		}
		Divide struct {
			Queries []struct {
				Name string
				Fact bool
				Runs []struct {
					Workers int
					Read    int64   `json:"bytes_read"`
					ReadMax int64   `json:"bytes_read_max"`
					CPU     float64 `json:"cpu_seconds"`
					Results int64   `json:"bytes_coordinator"`
				}
			}
		}
	}
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	statements := r.Plan.Statements
	if len(statements) != 5 || len(r.Divide.Queries) != 3 {
		t.Fatalf("a report that is not whole: %s", text)
	}
	for i, s := range statements {
		if kept := s.Kept == s.Known; s.P50 < 0 || s.Known == 0 || kept != (i < 3) {
			t.Errorf("%+v", s)
		}
	}
	if s := statements[4]; s.Kept != 10 || s.Known != 12_000 {
		t.Errorf("%+v", s)
	}
	for _, q := range r.Divide.Queries {
		if len(q.Runs) != 2 {
			t.Fatalf("%+v", q)
		}
		one, three := q.Runs[0], q.Runs[1]
		if one.Read != one.ReadMax || one.CPU <= 0 || q.Fact != (q.Name != "q22") {
			t.Errorf("%s on one worker: %+v", q.Name, one)
		}
		if three.ReadMax >= three.Read || three.Read < one.Read || three.Results == 0 {
			t.Errorf("%s on three workers: %+v, on one: %+v", q.Name, three, one)
		}
	}
	left, err := os.ReadDir(temp)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
