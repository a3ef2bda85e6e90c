//go:build duckdb_arrow

package coordinator

// Forgive takes all nodes for good again.
func (c *Coordinator) Forgive() {
	c.members.mu.Lock()
	defer c.members.mu.Unlock()
	c.members.suspects = nil
}

// Suspects is how many nodes are suspected.
func (c *Coordinator) Suspects() int {
	c.members.mu.Lock()
	defer c.members.mu.Unlock()
	return len(c.members.suspects)
}

// Idle tells that no query is admitted, and none waits.
func (c *Coordinator) Idle() bool {
	n := int64(c.opts.QueriesMax)
	if c.admission.waiting.Load() > 0 || !c.admission.running.TryAcquire(n) {
		return false
	}
	c.admission.running.Release(n)
	return true
}
