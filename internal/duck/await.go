//go:build duckdb_arrow

package duck

import (
	"time"

	bind "github.com/duckdb/duckdb-go-bindings"
	"golang.org/x/sys/unix"
)

// How long a statement that has nothing to do rests before it looks again.
const (
	restMin = 20 * time.Microsecond
	restMax = 200 * time.Microsecond
)

// await runs a statement's tasks until its result is ready, or it failed.
// DuckDB's own loop asks for tasks without a rest while other threads work on
// them, which takes a core from those.
func await(pending bind.PendingResult) {
	rest := restMin
	for {
		switch bind.PendingExecuteTask(pending) {
		case bind.PendingStateResultNotReady:
			rest = restMin
		case bind.PendingStateNoTasksAvailable:
			sleep(rest)
			rest = min(2*rest, restMax)
		default:
			return
		}
	}
}

// sleep keeps to times below a millisecond. time.Sleep does not: a runtime with
// nothing else to do rounds them up to one.
func sleep(d time.Duration) {
	t := unix.NsecToTimeval(d.Nanoseconds())
	_, _ = unix.Select(0, nil, nil, nil, &t) // a signal may end it early
}
