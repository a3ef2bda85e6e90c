package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"skein/meta"
	"skein/meta/member"
)

const (
	table    = "t"
	tableUID = "t-1"
	oldDay   = "1999-12-20" // beyond the retention; the clock begins at 2000-01-01
	today    = "2000-01-01"
	// forgetAfter is longer than any message is late, as the worker's is.
	forgetAfter = 5*leaderTTL + pauseMax
)

// disk is a worker's log.
type disk struct {
	made  int // units ever
	units []*unit
	acked []int    // rows, for the checker
	of    []string // their units
}

// unit is rows that become files in one commit.
type unit struct {
	id       string
	rows     []int
	replayed bool // the catalog may have its commit already
	noted    bool // the log says that it is committed
	at       time.Time
}

// files are the unit's, and the rows of each.
func (u *unit) files() (files []meta.File, rows [][]int) {
	byDay := map[string][]int{}
	for _, r := range u.rows {
		byDay[day(r)] = append(byDay[day(r)], r)
	}
	for _, d := range []string{oldDay, today} {
		if len(byDay[d]) > 0 {
			files = append(files, meta.File{Path: table + "/_/" + d + "/" + u.id, Day: d, Rows: int64(len(byDay[d])), Bytes: 1, Unit: u.id})
			rows = append(rows, byDay[d])
		}
	}
	return files, rows
}

// day of a row: some are too old to be kept.
func day(row int) string {
	if row%5 == 0 {
		return oldDay
	}
	return today
}

// ingest is a worker of one table: what it does is worker/DESIGN.md's, in its
// order.
type ingest struct {
	*process
	store  store
	rng    *rand.Rand
	next   *unit // being opened
	active *unit
	sealed []*unit
}

// replay puts back what the log has and does not say to be committed. Nobody
// reaches the process before that.
func (p *process) replay() {
	for _, u := range p.disk.units {
		if !u.noted {
			u.replayed = true
			p.hot = append(p.hot, u)
		}
	}
}

// takeIn runs the worker until the process ends.
func (p *process) takeIn() {
	defer close(p.flushed)
	w := &ingest{process: p, store: p.store("ingest"), rng: p.world.stream(p.name + " ingest"), sealed: slices.Clone(p.hot)}
	lost := true
	for p.sleep(p.ctx, time.Duration(w.rng.Int64N(int64(900*time.Millisecond)))) {
		if lost {
			lost = w.closeLost() != nil
		}
		stopping := p.stopping()
		if !stopping {
			w.write()
		}
		w.seal(stopping)
		if len(w.sealed) > 0 && w.flush(w.sealed[0]) {
			w.sealed = w.sealed[1:]
		}
		w.forget()
		if p.told() && len(w.sealed) == 0 && !lost {
			return
		}
	}
}

// stopping tells that no new rows are taken in.
func (p *process) stopping() bool { return p.world.quiet || p.told() }

func (p *process) told() bool {
	select {
	case <-p.leave:
		return true
	default:
		return false
	}
}

// write acknowledges a few rows, after the catalog knows of their unit.
func (w *ingest) write() {
	if w.active == nil {
		if w.next == nil { // else the last try failed
			w.disk.made++
			w.next = &unit{id: fmt.Sprintf("%s-u%d", w.id, w.disk.made)}
		}
		if w.store.OpenUnit(w.ctx, table, tableUID, meta.OpenUnit{Node: w.id, Unit: w.next.id}) != nil {
			return
		}
		w.active, w.next = w.next, nil
		w.hot = append(w.hot, w.active)
	}
	if len(w.active.rows) == 0 {
		w.disk.units = append(w.disk.units, w.active)
	}
	for range 1 + w.rng.IntN(3) {
		row := (len(w.disk.acked)+1)*len(w.world.nodes) + slices.Index(w.world.nodes, w.node)
		w.active.rows = append(w.active.rows, row)
		w.disk.acked, w.disk.of = append(w.disk.acked, row), append(w.disk.of, w.active.id)
	}
}

// seal ends the active unit, now and then.
func (w *ingest) seal(stopping bool) {
	if stopping && w.next != nil { // the catalog may have it as open
		w.sealed, w.next = append(w.sealed, w.next), nil
	}
	if w.active != nil && (stopping || w.rng.IntN(3) == 0) {
		w.sealed, w.active = append(w.sealed, w.active), nil
	}
}

// flush turns a unit into files and commits them, and tells whether it is over.
func (w *ingest) flush(u *unit) bool {
	if u.replayed {
		l, err := w.store.Listing(w.ctx, table)
		if err != nil {
			return false
		}
		if l.Units[u.id] {
			return w.finish(u)
		}
		u.replayed = false
	}
	files, rows := u.files()
	for i, f := range files {
		if w.world.put(w.ctx, w.process, "ingest", f.Path, rows[i]) != nil {
			return false
		}
	}
	err := w.store.Commit(w.ctx, meta.Commit{Table: table, TableUID: tableUID, Node: w.id, Unit: u.id, Add: files, Time: time.Now()})
	if err != nil {
		w.world.check.mayFail("commit of unit "+u.id, err)
		return false
	}
	return w.finish(u)
}

func (w *ingest) finish(u *unit) bool {
	w.hot = slices.DeleteFunc(w.hot, func(h *unit) bool { return h == u })
	u.noted, u.at = true, time.Now()
	return true
}

// forget lets the catalog forget units committed long ago.
func (w *ingest) forget() {
	after := forgetAfter
	if w.world.flaw == forgetsAtOnce {
		after = 0
	}
	for i, u := range w.disk.units {
		if u.noted && time.Since(u.at) > after {
			if w.store.ForgetUnits(w.ctx, table, []string{u.id}) == nil {
				w.disk.units = slices.Delete(w.disk.units, i, i+1)
			}
			return
		}
	}
}

// closeLost closes units that the catalog has as open and the log does not
// know.
func (w *ingest) closeLost() error {
	l, err := w.store.Listing(w.ctx, table)
	if err != nil {
		return err
	}
	for _, o := range l.Open {
		known := func(u *unit) bool { return u != nil && u.id == o.Unit }
		if o.Node != w.id || slices.ContainsFunc(w.disk.units, known) || known(w.next) || known(w.active) || slices.ContainsFunc(w.sealed, known) {
			continue
		}
		err := w.store.Commit(w.ctx, meta.Commit{Table: table, TableUID: tableUID, Node: w.id, Unit: o.Unit, Time: time.Now()})
		if err != nil {
			return err
		}
	}
	return nil
}

// put stores an object.
func (w *world) put(ctx context.Context, p *process, who, key string, rows []int) error {
	_, err := ask(ctx, p, who+" put", func() (struct{}, error) {
		w.objects[key] = slices.Clone(rows)
		return struct{}{}, nil
	})
	return err
}

// hotUnit is what a node tells of an unflushed unit.
type hotUnit struct {
	unit string
	rows []int
}

// askHot asks a node for its unflushed rows.
func (w *world) askHot(ctx context.Context, p *process, id string) ([]hotUnit, error) {
	return ask(ctx, p, "read hot", func() (units []hotUnit, err error) {
		for _, n := range w.nodes {
			if n.id != id || n.process == nil || n.process.ended || n.cut || n.pausedTill.After(time.Now()) {
				continue
			}
			for _, u := range n.process.hot {
				units = append(units, hotUnit{u.id, slices.Clone(u.rows)})
			}
			return units, nil
		}
		return nil, errSilence
	})
}

// read asks for all rows again and again, in the coordinator's order: open
// units, their rows, then the index.
func (p *process) read() {
	rng, s := p.world.stream(p.name+" read"), p.store("read")
	for p.sleep(p.ctx, 500*time.Millisecond+time.Duration(rng.Int64N(int64(4*time.Second)))) {
		var seen []int // how many rows each node had acknowledged
		first, err := get(p.ctx, s, "listing", func(ctx context.Context, c meta.Store) (meta.Listing, error) {
			for _, n := range p.world.nodes {
				seen = append(seen, len(n.disk.acked))
			}
			return c.Listing(ctx, table)
		})
		if err == nil {
			p.readAfter(s, first, seen)
		}
	}
}

func (p *process) readAfter(s store, first meta.Listing, seen []int) {
	var hot []hotUnit
	var missing []meta.OpenUnit
	asked := map[string]bool{}
	for _, o := range first.Open {
		node := member.Holder(o)
		if asked[node] {
			continue
		}
		asked[node] = true
		units, err := p.world.askHot(p.ctx, p, node)
		if err != nil {
			for _, u := range first.Open {
				if u.Node == node {
					missing = append(missing, u)
				}
			}
		}
		hot = append(hot, units...)
	}
	_, _ = get(p.ctx, s, "listing", func(ctx context.Context, c meta.Store) (struct{}, error) {
		l, err := c.Listing(ctx, table)
		if err != nil || slices.ContainsFunc(missing, func(m meta.OpenUnit) bool { return !l.Units[m.Unit] && slices.Contains(l.Open, m) }) {
			return struct{}{}, err // an error for the reader, not a short answer
		}
		p.world.check.answer(l, hot, seen)
		return struct{}{}, nil
	})
}
