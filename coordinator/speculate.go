//go:build duckdb_arrow

package coordinator

import (
	"slices"
	"time"
)

// A fragment that runs much longer than its siblings did is tried once more
// on another worker; the first to end wins.
const (
	speculateEvery  = 200 * time.Millisecond
	speculateAfter  = 2 * time.Second // at the earliest
	speculateFactor = 3               // times the median of its siblings
)

func (e *execution) speculate() error {
	if len(e.workers) < 2 {
		return nil
	}
	for _, s := range e.stages {
		median, ok := s.medianTime()
		if !ok || !e.hasInputs(s) { // what it reads may be lost
			continue
		}
		for _, f := range s.fragments {
			for _, a := range f.running {
				if len(f.running) == 1 && f.kept == nil && time.Since(a.began) > max(speculateAfter, speculateFactor*median) {
					s.retries++
					i, _ := slices.BinarySearch(e.workers, a.worker)
					if err := e.attempt(f, e.workers[(i+1)%len(e.workers)]); err != nil {
						return err
					}
					break
				}
			}
		}
	}
	return nil
}

// medianTime is how long most fragments of the stage took, once at least half
// of them are done.
func (s *stageRun) medianTime() (time.Duration, bool) {
	var times []time.Duration
	for _, f := range s.fragments {
		if f.kept != nil {
			times = append(times, time.Duration(f.kept.ElapsedUs)*time.Microsecond)
		}
	}
	if len(times) == 0 || len(times)*2 < len(s.fragments) {
		return 0, false
	}
	slices.Sort(times)
	return times[len(times)/2], true
}

// avoid gives a worker that was overtaken no more of this query: it may hang.
func (e *execution) avoid(worker string) {
	if len(e.workers) > 1 && worker != e.c.opts.Node.ID {
		delete(e.nodes, worker)
		e.workers = sortedKeys(e.nodes)
	}
}
