//go:build duckdb_arrow

package duck

import (
	"time"

	bind "github.com/duckdb/duckdb-go-bindings"
)

// How long a statement that has nothing to do rests before it looks again.
const (
	restMin = 20 * time.Microsecond
	restMax = time.Millisecond
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
			time.Sleep(rest)
			rest = min(2*rest, restMax)
		default:
			return
		}
	}
}
