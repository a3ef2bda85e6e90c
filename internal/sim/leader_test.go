package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"skein/meta"
	"skein/meta/lead"
	"skein/meta/member"
	"skein/meta/retention"
)

// join makes the process a member of the cluster until it is told to stop.
func (p *process) join() {
	m := member.New(p.store("member"), func() meta.Node {
		return meta.Node{ID: p.id, Address: p.id + ":1", Roles: []string{member.RoleWorker}}
	}, member.Options{Interval: beatEvery, Expiry: beatExpiry})
	for m.Start(p.ctx) != nil {
		if !p.sleep(p.ctx, beatEvery) {
			return
		}
	}
	select {
	case <-p.leave:
		_ = m.Drain(p.ctx) // others may send it more
		<-p.flushed
	case <-p.ctx.Done():
	}
	_ = m.Stop(p.ctx) // it expires
	p.ended = true
	p.cancel()
}

// stand stands for election.
func (p *process) stand() {
	terms := 0
	lead.Run(p.ctx, p.store("lead"), p.name, lead.Options{TTL: leaderTTL}, func(ctx context.Context) {
		terms++
		name := fmt.Sprintf("%s-%d", p.name, terms) // a term's token may be that of the process's last one
		l := &leader{process: p, term: name, store: p.store("work"), rng: p.world.stream(name)}
		p.leading = true
		l.work(meta.As(ctx, p.name))
		p.leading = false
	})
}

// leader is a node's term.
type leader struct {
	*process
	term  string
	store store
	rng   *rand.Rand
	jobs  int
}

// work does one job after the other. It may begin one more when its term is
// over, as a process does that was stopped between looking and writing.
func (l *leader) work(ctx context.Context) {
	for l.sleep(ctx, 100*time.Millisecond+time.Duration(l.rng.Int64N(int64(1500*time.Millisecond)))) {
		l.job(ctx)
	}
	if l.ctx.Err() == nil && l.rng.IntN(2) == 0 {
		l.job(context.WithoutCancel(ctx))
	}
}

func (l *leader) job(ctx context.Context) {
	l.jobs++
	switch l.rng.IntN(5) {
	case 0:
		_, _ = l.store.Record(ctx, meta.NewChange(ctx, meta.ChangeRepair, "", "looked at all"))
	case 1:
		_, _ = retention.Run(ctx, l.store, later{}, table, retention.Options{})
	case 2: // as an operator may tell it to
		n := l.world.nodes[l.rng.IntN(len(l.world.nodes))]
		_, _ = member.GiveUp(ctx, l.store, n.id, beatExpiry)
	default:
		l.compact(ctx)
	}
}

// later forgets objects: nothing reads them once they are out of the index.
type later struct{}

func (later) Add(context.Context, time.Duration, map[string]string) error { return nil }

// compact merges two files of a day into one, in one step.
func (l *leader) compact(ctx context.Context) {
	now, err := l.store.Listing(ctx, table)
	if err != nil {
		return
	}
	files := slices.DeleteFunc(now.Files, func(f meta.File) bool { return f.Day != today })
	if len(files) < 2 {
		return
	}
	a := l.rng.IntN(len(files) - 1)
	name := fmt.Sprintf("merge-%s-%d", l.term, l.jobs)
	merged := meta.File{Path: table + "/_/" + today + "/" + name, Day: today, Rows: files[a].Rows + files[a+1].Rows, Bytes: 1, Unit: name}
	if l.world.merge(ctx, l.process, merged.Path, files[a].Path, files[a+1].Path) != nil {
		return
	}
	swap := meta.Commit{Table: table, TableUID: tableUID, Unit: name, Add: []meta.File{merged}, Remove: []string{files[a].Path, files[a+1].Path}}
	for range 3 {
		if err = l.store.Commit(ctx, swap); err == nil || !unknown(err) {
			return
		}
	}
}

// merge stores an object of the rows of two others.
func (w *world) merge(ctx context.Context, p *process, key, a, b string) error {
	_, err := ask(ctx, p, "work merge", func() (struct{}, error) {
		w.objects[key] = slices.Concat(w.objects[a], w.objects[b])
		return struct{}{}, nil
	})
	return err
}

// settings changes the table's settings now and then, by what it has read.
func (p *process) settings() {
	rng, s := p.world.stream(p.name+" settings"), p.store("settings")
	for p.sleep(p.ctx, time.Second+time.Duration(rng.Int64N(int64(4*time.Second)))) {
		if p.stopping() {
			continue
		}
		ctx := meta.As(p.ctx, p.name)
		if rng.IntN(2) == 0 {
			base, err := s.CatalogVersion(ctx)
			if err != nil {
				continue
			}
			ctx = meta.BasedOn(ctx, base)
		}
		t, err := s.Table(ctx, table)
		if err != nil {
			continue
		}
		t.Config.BufferSize = int32(rng.IntN(1000)) + 1
		if _, err := s.UpdateTable(ctx, t); err != nil {
			p.world.check.mayFail("settings", err)
		}
	}
}
