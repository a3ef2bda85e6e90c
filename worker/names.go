package worker

import (
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"
)

// names gives files their numbers: the time in nanoseconds, each number once.
// Its last three digits are the node's, so that nodes that write the same id
// in the same microsecond do not overwrite each other's files.
type names struct {
	node int64 // 0 to 999
	mu   sync.Mutex
	last int64
}

func newNames(node string) *names {
	return &names{node: int64(xxhash.Sum64String(node) % 1000)}
}

func (n *names) next() int64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.last = max(n.last+1000, time.Now().UnixNano()/1000*1000+n.node)
	return n.last
}
