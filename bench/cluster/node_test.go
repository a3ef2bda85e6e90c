package cluster

import (
	"strings"
	"testing"
	"time"

	"skein/internal/fault"
)

func TestReadUse(t *testing.T) {
	const text = `# HELP process_cpu_seconds_total Total user and system CPU time spent in seconds.
process_cpu_seconds_total 1.25
skein_objstore_bytes_total{direction="received"} 1.5e+06
process_resident_memory_bytes 1000
skein_objstore_bytes_total{direction="sent"} 7
skein_node_received_bytes_total{kind="exchange"} 30
skein_node_received_bytes_total{kind="result"} 20
`
	u, err := readUse(text)
	if want := (Use{CPU: 1250 * time.Millisecond, Read: 1_500_000, Results: 20, Exchanged: 30, Resident: 1000}); err != nil || u != want {
		t.Errorf("got %+v, %v", u, err)
	}
	if d := u.Less(Use{CPU: time.Second, Read: 1, Results: 2, Exchanged: 3, Resident: 100}); d != (Use{250 * time.Millisecond, 1_499_999, 18, 27, 900}) {
		t.Errorf("got %+v", d)
	}
	for _, text := range []string{"", "process_cpu_seconds_total 1\n", strings.ReplaceAll(text, "process_cpu", "other")} {
		if _, err := readUse(text); fault.CodeOf(err) != fault.FailedPrecondition {
			t.Errorf("%q: got %v", text, err)
		}
	}
}

func TestFailedStartLeavesNothing(t *testing.T) {
	_, err := Start(t.Context(), Options{Program: "skein", MinIO: "no such minio", Dir: t.TempDir()})
	if fault.CodeOf(err) != fault.FailedPrecondition || !strings.Contains(err.Error(), "--minio") {
		t.Errorf("got %v", err)
	}
	if _, err := Single(t.Context(), "no such skein", t.TempDir(), 0); fault.CodeOf(err) != fault.FailedPrecondition {
		t.Errorf("got %v", err)
	}
}
