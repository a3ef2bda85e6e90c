package duck

import (
	"math/bits"
	"sync"

	"github.com/apache/arrow-go/v18/arrow/memory"
)

// Sizes of buffers that a recycler keeps, and of all that it keeps.
const (
	recycledBytesMin = 4 << 10
	recycledBytesMax = 16 << 20
	recycledSumMax   = 64 << 20
)

// recycler is an allocator that keeps what is freed for the next batches:
// fresh memory has to be cleared, and given back by the garbage collector.
type recycler struct {
	mu   sync.Mutex
	free [32][][]byte // by the logarithm of their size
	sum  int
}

var _ memory.Allocator = (*recycler)(nil)

// Allocate implements memory.Allocator. The bytes may be any.
func (r *recycler) Allocate(size int) []byte {
	if size < recycledBytesMin || size > recycledBytesMax {
		return memory.DefaultAllocator.Allocate(size)
	}
	class := bits.Len(uint(size - 1))
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.free[class]); n > 0 {
		b := r.free[class][n-1]
		r.free[class] = r.free[class][:n-1]
		r.sum -= cap(b)
		return b[:size]
	}
	return make([]byte, 1<<class)[:size]
}

// Reallocate implements memory.Allocator.
func (r *recycler) Reallocate(size int, b []byte) []byte {
	if size <= cap(b) {
		return b[:size]
	}
	larger := r.Allocate(size)
	copy(larger, b)
	r.Free(b)
	return larger
}

// Free implements memory.Allocator.
func (r *recycler) Free(b []byte) {
	size := cap(b)
	if size < recycledBytesMin || size > recycledBytesMax || size&(size-1) != 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sum+size <= recycledSumMax {
		class := bits.Len(uint(size - 1))
		r.free[class] = append(r.free[class], b[:size])
		r.sum += size
	}
}
