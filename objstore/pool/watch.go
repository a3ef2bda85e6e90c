package pool

import (
	"context"
	"fmt"
	"sync"
	"time"

	"skein/internal/fault"
)

// sickAfter is how many probes in a row fail before an endpoint is left out;
// one success brings it back.
const sickAfter = 2

// votesKept is how many rounds a vote counts.
const votesKept = 4

// watch probes the endpoints until ctx ends, and takes part in the agreement.
func (p *Pool) watch(ctx context.Context) {
	tick := time.NewTicker(p.o.ProbeEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		p.probe(ctx)
		if cancel := p.back.Load(); cancel != nil && !(p.primary.up() && p.backup.up()) {
			(*cancel)(errDown) // another node may still reach them
		}
		if err := within(ctx, p.o.ProbeTimeout, p.follow); err != nil && ctx.Err() == nil {
			p.o.Log.Debug("object store pool: shared settings cannot be read", "error", err)
		}
		if p.agreement != nil {
			if err := p.agree(ctx); err != nil && ctx.Err() == nil {
				p.o.Log.Warn("object store pool: the catalog does not answer; each node decides alone", "error", err)
			}
		}
	}
}

// probe asks every endpoint whether it may be used.
func (p *Pool) probe(ctx context.Context) {
	var probes sync.WaitGroup
	for _, s := range []*set{p.primary, p.backup} {
		if s == nil {
			continue
		}
		for _, e := range s.endpoints {
			probes.Go(func() { p.probeOne(ctx, e) })
		}
	}
	probes.Wait()
	if ctx.Err() != nil {
		return
	}
	for _, s := range []*set{p.primary, p.backup} {
		if s == nil {
			continue
		}
		if s.up() {
			s.good, s.bad = s.good+1, 0
		} else {
			s.good, s.bad = 0, s.bad+1
		}
	}
}

func (p *Pool) probeOne(ctx context.Context, e *endpoint) {
	start := time.Now()
	err := within(ctx, p.o.ProbeTimeout, e.store.Ping)
	if fault.CodeOf(err) == fault.FailedPrecondition && (p.onBackup() || e.set == backupName) {
		if m, ok := e.store.(interface{ MakeBucket(context.Context) error }); ok {
			err = within(ctx, p.o.ProbeTimeout, m.MakeBucket) // it was deleted, or never made; what belongs there is copied
		}
	}
	if ctx.Err() != nil {
		return
	}
	if err == nil {
		e.observe(time.Since(start))
		e.why.Store("")
		e.bad = 0
		if e.sick.Swap(false) {
			p.alert("endpoint-up", e.name, "it answers again")
		}
	} else {
		e.why.Store(err.Error())
		if e.bad++; e.bad >= sickAfter && !e.sick.Swap(true) {
			p.alert("endpoint-down", e.name, err.Error())
		}
	}
	p.metrics.endpoint(e)
}

// agree votes, follows the others, and asks for a change where it is due.
func (p *Pool) agree(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*p.o.ProbeEvery)
	defer cancel()
	s, err := p.load(ctx)
	if err != nil {
		return err
	}
	down := p.primary.bad >= p.o.FailAfter
	ayes, voters, err := p.agreement.Votes.Cast(ctx, p.agreement.Node, down, votesKept*p.o.ProbeEvery)
	if err != nil {
		return err
	}
	pending, _, err := p.agreement.Journal.Len(ctx)
	if err != nil {
		return err
	}
	p.pending.Store(pending > 0)
	p.metrics.waiting(pending)
	switch {
	case s.Mode != Backup && down && 2*ayes > voters:
		if !p.backup.up() {
			return nil // there is nowhere to go
		}
		won, err := p.change(ctx, s, Backup, fmt.Sprintf("%d of %d nodes cannot use the primary object store", ayes, voters))
		if won {
			p.alert("failover", "primary", p.State().Reason)
		}
		return err
	case s.Mode != Primary && 2*ayes < voters && p.primary.good >= p.o.ReturnAfter<<min(s.Relapses, 4),
		s.Mode == Primary && pending > 0 && p.primary.good > 0 && p.backup.up():
		p.comeBack()
	}
	return nil
}
