package server

import (
	"bufio"
	"fmt"
	"os"
	"strings"
)

// memoryShare is DuckDB's share of the machine's memory unless told otherwise;
// the rest is for buffers, batches in flight and the operating system.
const memoryShare = 0.6

// memoryLimit is DuckDB's limit, as it writes it; empty, which is DuckDB's own
// default, where the machine's memory cannot be told.
func (c *Config) memoryLimit() string {
	bytes := c.MemoryBytes
	if bytes <= 0 {
		bytes = int64(memoryShare * float64(machineMemory()))
	}
	if bytes <= 0 {
		return ""
	}
	return fmt.Sprintf("%dMiB", max(bytes>>20, 1))
}

// machineMemory is the machine's memory, or the control group's if that is
// less, in bytes; zero if neither can be told.
func machineMemory() int64 {
	total := int64(0)
	if f, err := os.Open("/proc/meminfo"); err == nil {
		defer f.Close()
		for lines := bufio.NewScanner(f); lines.Scan(); {
			if n, _ := fmt.Sscanf(lines.Text(), "MemTotal: %d kB", &total); n == 1 {
				total <<= 10
				break
			}
		}
	}
	var limit int64
	if text, err := os.ReadFile("/sys/fs/cgroup/memory.max"); err == nil {
		if n, _ := fmt.Sscan(strings.TrimSpace(string(text)), &limit); n == 1 && limit > 0 && (total == 0 || limit < total) {
			return limit
		}
	}
	return total
}
