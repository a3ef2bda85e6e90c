package pool

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	samples     = 256 // latencies remembered
	hedgeBurst  = 10  // second requests that may come at once
	hedgeAtOnce = 100 * time.Millisecond
)

// hedger says when a second request is worth its cost.
type hedger struct {
	tuning *atomic.Pointer[Tuning]

	mu     sync.Mutex
	tokens float64
	ring   [samples]time.Duration
	seen   int
	delay  time.Duration // the 95th percentile, or so
}

// wait counts a request in and returns how long to wait before a second one.
func (h *hedger) wait() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tokens = min(h.tokens+h.tuning.Load().HedgeShare, hedgeBurst)
	if h.delay == 0 {
		return hedgeAtOnce
	}
	return max(h.delay, h.tuning.Load().HedgeMin)
}

// take tells whether a second request may be sent.
func (h *hedger) take() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.tuning.Load().HedgeShare == 0 || h.tokens < 1 {
		return false
	}
	h.tokens--
	return true
}

// observe remembers the latency of a request that won.
func (h *hedger) observe(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ring[h.seen%samples] = d
	h.seen++
	if h.seen%32 == 0 {
		sorted := slices.Clone(h.ring[:min(h.seen, samples)])
		slices.Sort(sorted)
		h.delay = sorted[len(sorted)*95/100]
	}
}
