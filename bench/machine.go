package bench

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"time"
)

// Machine is where and with what a run was made.
type Machine struct {
	Date        time.Time `json:"date"`
	OS          string    `json:"os"`
	Arch        string    `json:"arch"`
	Cores       int       `json:"cores"`
	MemoryBytes int64     `json:"memory_bytes,omitempty"` // zero if not known
	Go          string    `json:"go"`
	DuckDB      string    `json:"duckdb"` // of the peer in this process
	Bench       string    `json:"bench,omitempty"`
}

func thisMachine(duckDB, version string) Machine {
	return Machine{
		Date: time.Now().UTC().Truncate(time.Second), OS: runtime.GOOS, Arch: runtime.GOARCH, Cores: runtime.NumCPU(),
		MemoryBytes: memoryBytes(), Go: runtime.Version(), DuckDB: duckDB, Bench: version,
	}
}

// memoryBytes reads Linux's total; zero elsewhere.
func memoryBytes() int64 {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var kib int64
		if n, _ := fmt.Sscanf(lines.Text(), "MemTotal: %d kB", &kib); n == 1 {
			return kib << 10
		}
	}
	return 0
}
