package sim

import (
	"cmp"
	"container/heap"
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"sync"
	"testing/synctest"
	"time"

	"skein/internal/fault"
)

// callTimeout is how long a client of the catalog waits for an answer.
const callTimeout = 2 * time.Second

// schedule decides what happens when, by a seed. Goroutines of nodes wait for
// it in calls; it lets one of them go on at a time, and looks only when all of
// them wait.
type schedule struct {
	seed   uint64
	rng    *rand.Rand
	start  time.Time
	loss   float64 // of messages, while there is trouble
	calm   bool    // no message is lost or late any more
	queue  events
	number int
	trace  uint64 // hash of all that happened
	log    func(format string, args ...any)

	mu    sync.Mutex
	fresh []*call
	wake  chan struct{}
}

func newSchedule(seed uint64) *schedule {
	s := &schedule{seed: seed, rng: rand.New(rand.NewPCG(seed, 1)), start: time.Now(), wake: make(chan struct{}, 1)}
	s.loss = []float64{0, 0.02, 0.1, 0.25}[s.rng.IntN(4)]
	return s
}

// stream is randomness of its own for a goroutine of a node.
func (s *schedule) stream(name string) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(name))
	return rand.New(rand.NewPCG(s.seed, h.Sum64()))
}

// event is what happens at a time.
type event struct {
	at     time.Time
	number int
	name   string
	do     func()
}

type events []*event

func (q events) Len() int      { return len(q) }
func (q events) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q events) Less(i, j int) bool {
	return cmp.Or(q[i].at.Compare(q[j].at), cmp.Compare(q[i].number, q[j].number)) < 0
}
func (q *events) Push(e any) { *q = append(*q, e.(*event)) }
func (q *events) Pop() any {
	old := *q
	e := old[len(old)-1]
	*q = old[:len(old)-1]
	return e
}

// at plans an event. It is called by the schedule's own goroutine only.
func (s *schedule) at(t time.Time, name string, do func()) {
	s.number++
	heap.Push(&s.queue, &event{t, s.number, name, do})
}

func (s *schedule) after(d time.Duration, name string, do func()) { s.at(time.Now().Add(d), name, do) }

// note makes something part of the trace.
func (s *schedule) note(name string) {
	h := fnv.New64a()
	fmt.Fprint(h, s.trace, time.Since(s.start), name)
	s.trace = h.Sum64()
	if s.log != nil {
		s.log("%12v  %s", time.Since(s.start).Round(time.Microsecond), name)
	}
}

// run lets what is planned happen until a time from the start.
func (s *schedule) run(until time.Duration) {
	end := s.start.Add(until)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		synctest.Wait()
		s.admit()
		now := time.Now()
		if len(s.queue) > 0 && !s.queue[0].at.After(now) {
			e := heap.Pop(&s.queue).(*event)
			s.note(e.name)
			e.do()
			continue
		}
		if !now.Before(end) {
			return
		}
		next := end
		if len(s.queue) > 0 && s.queue[0].at.Before(end) {
			next = s.queue[0].at
		}
		timer.Reset(next.Sub(now))
		select {
		case <-timer.C:
		case <-s.wake:
		}
	}
}

// call is a request of a node's goroutine, and its answer.
type call struct {
	name  string // who asks what; no other call of that name can be under way
	from  *process
	apply func() any
	done  chan any // of one place
}

// errSilence says that no answer came: the request may have been carried out.
var errSilence = fault.New(fault.Unavailable, "no answer")

// errDead ends the calls of a process that has crashed.
var errDead = fault.New(fault.Unavailable, "this process is dead")

// ask sends a request over the network, where apply is carried out, perhaps,
// and waits for the answer, which may not come.
func ask[T any](ctx context.Context, p *process, name string, apply func() (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	var none T
	if err := ctx.Err(); err != nil {
		return none, err
	}
	c := &call{name: p.name + " " + name, from: p, done: make(chan any, 1), apply: func() any {
		v, err := apply()
		return answer{v, err}
	}}
	if !p.world.send(c) {
		return none, errDead
	}
	limit := time.NewTimer(callTimeout)
	defer limit.Stop()
	select {
	case a := <-c.done:
		return a.(answer).value, a.(answer).err
	case <-limit.C:
		return none, errSilence
	case <-ctx.Done():
		return none, ctx.Err()
	}
}

// send hands a call to the schedule, unless its process is dead.
func (s *schedule) send(c *call) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.from.dead {
		return false
	}
	s.fresh = append(s.fresh, c)
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return true
}

// admit decides the fates of the calls that were made since it last looked.
func (s *schedule) admit() {
	s.mu.Lock()
	fresh := s.fresh
	s.fresh = nil
	s.mu.Unlock()
	slices.SortFunc(fresh, func(a, b *call) int { return cmp.Compare(a.name, b.name) })
	for _, c := range fresh {
		at, lost := s.fate(c.from.node)
		if lost {
			s.note("lost  " + c.name)
			continue
		}
		s.at(at, "      "+c.name, func() { s.carryOut(c) })
	}
}

// carryOut applies a request, and sends the answer back.
func (s *schedule) carryOut(c *call) {
	a := c.apply()
	at, lost := s.fate(c.from.node)
	if lost {
		s.note("mute  " + c.name)
		return
	}
	s.at(at, "reply "+c.name, func() { c.done <- a })
}

// fate is when a message of a node, or to it, arrives.
func (s *schedule) fate(n *node) (at time.Time, lost bool) {
	at = time.Now()
	if n.pausedTill.After(at) {
		at = n.pausedTill
	}
	at = at.Add(s.delay(100*time.Microsecond, 4*time.Millisecond))
	if s.calm {
		return at, false
	}
	if n.cut || s.rng.Float64() < s.loss/2 {
		return at, true
	}
	switch d := s.rng.Float64(); {
	case d < 0.01:
		at = at.Add(s.delay(0, 4*leaderTTL))
	case d < 0.06:
		at = at.Add(s.delay(0, 500*time.Millisecond))
	}
	return at, false
}

func (s *schedule) delay(from, to time.Duration) time.Duration {
	return from + time.Duration(s.rng.Int64N(int64(to-from)))
}
