package worker

import (
	"context"
	"sync"

	nodev1 "skein/proto/node/v1"
)

// ahead fetches the objects of portions before their turn, so that a portion
// does not wait for the object store. What cannot be fetched is told by the
// portion itself.
type ahead struct {
	source Source
	places chan struct{} // one for each portion that is ahead of its turn

	mu      sync.Mutex
	over    map[int]bool     // portions whose turn it was
	placed  map[int]bool     // portions that have a place
	pinned  map[int][]func() // what is called when it is their turn
	opening sync.WaitGroup
}

func newAhead(source Source, portions int) *ahead {
	return &ahead{source: source, places: make(chan struct{}, portions), over: map[int]bool{}, placed: map[int]bool{}, pinned: map[int][]func(){}}
}

// fetch opens the objects of all portions but the first, in order. It returns
// when all are open or ctx ends.
func (a *ahead) fetch(ctx context.Context, portions []*nodev1.Fragment) {
	defer a.opening.Wait()
	for i := 1; i < len(portions); i++ {
		select {
		case a.places <- struct{}{}:
		case <-ctx.Done():
			return
		}
		if a.place(i) {
			a.opening.Go(func() { a.open(ctx, i, portions[i]) })
		}
	}
}

// place gives a place that was taken to a portion, unless its turn was already.
func (a *ahead) place(i int) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over[i] {
		<-a.places
		return false
	}
	a.placed[i] = true
	return true
}

func (a *ahead) open(ctx context.Context, i int, f *nodev1.Fragment) {
	for _, g := range f.Tables[0].Groups {
		for _, s := range g.Splits {
			if s.Hot != nil || a.isOver(i) {
				continue // rows that another node holds would be fetched twice
			}
			if _, release, err := a.source.Open(ctx, s); err == nil {
				a.pin(i, release)
			}
		}
	}
}

func (a *ahead) isOver(i int) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.over[i]
}

func (a *ahead) pin(i int, release func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over[i] {
		release()
		return
	}
	a.pinned[i] = append(a.pinned[i], release)
}

// done tells that a portion has its files open itself.
func (a *ahead) done(i int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over[i] {
		return
	}
	a.over[i] = true
	for _, release := range a.pinned[i] {
		release()
	}
	delete(a.pinned, i)
	if a.placed[i] {
		<-a.places
	}
}
