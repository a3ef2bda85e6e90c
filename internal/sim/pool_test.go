package sim

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"slices"
	"time"

	"skein/internal/fault"
	"skein/meta"
	"skein/objstore"
	"skein/objstore/pool"
	"skein/objstore/transfer"
)

const (
	returnMax = 3 * time.Minute // the way back waits longer after each relapse
	outageMax = 12 * time.Second
	peaceTime = 10 * time.Second // in which nodes change nothing once all is well
)

// agreement is what the nodes' pools share, in the catalog.
type agreement struct {
	world   *world
	version int64 // of the switch
	value   string
	votes   map[string]vote
	modes   []pool.Mode // the switch has had, the first is primary
}

type vote struct {
	yes bool
	at  time.Time
}

func newAgreement(w *world) *agreement {
	return &agreement{world: w, votes: map[string]vote{}, modes: []pool.Mode{pool.Primary}}
}

// of is the agreement as a process sees it, over the network.
func (a *agreement) of(p *process) *pool.Agreement {
	return &pool.Agreement{Node: p.id, Switch: poolSwitch{a, p}, Votes: poolVotes{a, p}, Lease: poolLease{p}, Journal: emptyJournal{}}
}

type poolSwitch struct {
	a *agreement
	p *process
}

func (s poolSwitch) Load(ctx context.Context) (version int64, value string, err error) {
	value, err = ask(ctx, s.p, "switch load", func() (string, error) {
		version = s.a.version
		return s.a.value, nil
	})
	return version, value, err
}

func (s poolSwitch) Swap(ctx context.Context, version int64, value string) (bool, error) {
	counted := s.p.majority // when it was sent
	return ask(ctx, s.p, "switch swap", func() (bool, error) {
		a := s.a
		if version != a.version {
			if a.world.flaw != swapsAlways {
				return false, nil
			}
			a.world.check.fail("%s swapped version %d of the switch, which has %d", s.p.id, version, a.version)
		}
		a.version, a.value = a.version+1, value
		a.swapped(s.p.id, counted)
		return true, nil
	})
}

// modesAfter says where the switch may go.
var modesAfter = map[pool.Mode][]pool.Mode{
	pool.Primary:   {pool.Backup},
	pool.Backup:    {pool.Returning},
	pool.Returning: {pool.Primary, pool.Backup},
}

func (a *agreement) swapped(by string, majority bool) {
	var s pool.State
	if err := json.Unmarshal([]byte(a.value), &s); err != nil {
		a.world.check.fail("switch: %v", err)
	}
	if from := a.modes[len(a.modes)-1]; !slices.Contains(modesAfter[from], s.Mode) {
		a.world.check.fail("%s led the switch from %s to %s", by, from, s.Mode)
	}
	if s.Mode == pool.Backup && !majority {
		a.world.check.fail("%s led the switch to the backup without a majority", by)
	}
	a.modes = append(a.modes, s.Mode)
}

type poolVotes struct {
	a *agreement
	p *process
}

func (v poolVotes) Cast(ctx context.Context, node string, yes bool, window time.Duration) (int, int, error) {
	type count struct{ ayes, voters int }
	got, err := ask(ctx, v.p, "vote", func() (c count, err error) {
		now := time.Now()
		v.a.votes[node] = vote{yes, now}
		for _, vote := range v.a.votes {
			if now.Sub(vote.at) > window {
				continue
			}
			c.voters++
			if vote.yes {
				c.ayes++
			}
		}
		return c, nil
	})
	if err != nil {
		return 0, 0, err
	}
	v.p.majority = 2*got.ayes > got.voters
	if v.a.world.flaw == votesAlone && yes {
		return 1, 1, nil
	}
	return got.ayes, got.voters, nil
}

// poolLease is a lock of the catalog.
type poolLease struct{ p *process }

func (l poolLease) Acquire(ctx context.Context, ttl time.Duration) (int64, bool, error) {
	token, err := l.p.store("return").Lock(ctx, "return", l.p.name, ttl)
	if errors.Is(err, meta.ErrLocked) {
		return 0, false, nil
	}
	return token, err == nil, err
}

func (l poolLease) Release(ctx context.Context) error {
	return l.p.store("return").Unlock(ctx, "return", l.p.name)
}

// emptyJournal has nothing that must return.
type emptyJournal struct{ transfer.Queue }

func (emptyJournal) Len(context.Context) (int64, int64, error) { return 0, 0, nil }
func (emptyJournal) Take(context.Context, int, time.Duration) ([]transfer.Record, error) {
	return nil, nil
}

// site is an object store without objects, as a process reaches it.
type site struct {
	p       *process
	primary bool
}

var errUnreached = fault.New(fault.Unavailable, "connection refused")

func (s site) Ping(ctx context.Context) error {
	name := "ping backup"
	if s.primary {
		name = "ping primary"
	}
	_, err := ask(ctx, s.p, name, func() (struct{}, error) {
		if s.primary && s.p.unreached > 0 {
			return struct{}{}, errUnreached
		}
		return struct{}{}, nil
	})
	return err
}

func (site) Put(context.Context, string, io.Reader, int64) error { return errUnreached }
func (site) Get(context.Context, string, int64, int64) (io.ReadCloser, error) {
	return nil, objstore.ErrNotFound
}
func (site) Stat(context.Context, string) (objstore.Info, error) {
	return objstore.Info{}, objstore.ErrNotFound
}
func (site) Delete(context.Context, string) error { return nil }
func (site) List(context.Context, string) iter.Seq2[objstore.Info, error] {
	return func(func(objstore.Info, error) bool) {}
}

// choose runs the pool of a process.
func (p *process) choose(a *agreement) {
	for p.ctx.Err() == nil {
		opened, err := pool.Open(p.ctx, pool.Options{
			Primary: []pool.Endpoint{{Name: "primary", Store: site{p, true}}},
			Backup:  []pool.Endpoint{{Name: "backup", Store: site{p, false}}}, Agreement: a.of(p),
		})
		if err != nil {
			p.sleep(p.ctx, time.Second)
			continue
		}
		p.pool = opened
		<-p.ctx.Done()
		_ = opened.Close()
	}
}

// poolTrouble plans what happens to the nodes and their way to the primary set.
func (w *world) poolTrouble() {
	for range w.rng.IntN(troublesMax + 1) {
		n := w.nodes[w.rng.IntN(len(w.nodes))]
		begin := w.delay(0, troubleTime)
		lasts := w.delay(500*time.Millisecond, outageMax)
		switch w.rng.IntN(5) {
		case 0:
			w.after(begin, "pause "+n.id, func() { n.pausedTill = time.Now().Add(lasts) })
		case 1:
			w.after(begin, "crash "+n.id, n.crash)
			w.after(begin+lasts, "start "+n.id, n.begin)
		case 2, 3:
			for _, n := range w.nodes[:1+w.rng.IntN(len(w.nodes))] {
				w.after(begin, "out   "+n.id, func() { n.unreached++ })
				w.after(begin+lasts, "in    "+n.id, func() { n.unreached-- })
			}
		case 4:
			w.after(begin, "cut   "+n.id, func() { n.cut = true })
			w.after(begin+lasts, "heal  "+n.id, func() { n.cut = false })
		}
	}
}

// runPools lets the nodes' pools meet trouble, and wants them to agree after
// it, on the primary set in the end, for good.
func (w *world) runPools() {
	a := newAgreement(w)
	w.part = func(p *process) { p.choose(a) }
	w.poolTrouble()
	w.run(troubleTime)
	w.calmDown()
	peace := troubleTime + outageMax + 4*leaderTTL // the last outage is over, and no message is late
	w.run(peace)
	before := len(a.modes)
	for until := peace; until < peace+returnMax && a.modes[len(a.modes)-1] != pool.Primary; until += 5 * time.Second {
		w.run(until)
	}
	w.run(time.Since(w.start) + peaceTime)
	for _, mode := range a.modes[before:] {
		if mode == pool.Backup {
			w.check.fail("the switch went to the backup while all was well; it had %v", a.modes)
		}
	}
	if mode := a.modes[len(a.modes)-1]; mode != pool.Primary {
		w.check.fail("the switch stays at %s; it had %v", mode, a.modes)
	}
	for _, n := range w.nodes {
		if n.process == nil || n.process.pool == nil {
			w.check.fail("%s has no pool", n.id)
		} else if s := n.process.pool.State(); s.Mode != pool.Primary || s.Epoch != a.version {
			w.check.fail("%s has %s of epoch %d, the switch epoch %d", n.id, s.Mode, s.Epoch, a.version)
		}
	}
	w.switches = len(a.modes) - 1
}
