//go:build duckdb_arrow

package coordinator

import "github.com/maypok86/otter/v2"

// memoBytes is how much the remembered answers may take, about.
const memoBytes = 32 << 20

// memo remembers what DuckDB said of a statement. The values are not changed
// once they are in it.
type memo struct{ cache *otter.Cache[string, any] }

func newMemo() *memo {
	return &memo{otter.Must(&otter.Options[string, any]{
		MaximumWeight: memoBytes,
		// An answer is about as long as its question.
		Weigher: func(key string, _ any) uint32 { return uint32(min(2*len(key)+256, memoBytes)) },
	})}
}

// Get implements planner.Memo.
func (m *memo) Get(key string) (any, bool) {
	if m == nil {
		return nil, false
	}
	return m.cache.GetIfPresent(key)
}

// Put implements planner.Memo.
func (m *memo) Put(key string, value any) {
	if m != nil {
		m.cache.Set(key, value)
	}
}
