package check

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/oklog/ulid/v2"

	"skein/internal/fault"
	"skein/meta"
	"skein/meta/rebuild"
)

// tableState is a table and its index as of one moment.
type tableState struct {
	meta.Table
	version int64
	open    []meta.OpenUnit
	sum     meta.Stats // of the entries
	entries *sorter
	strays  []meta.File // entries whose path is not below the table's

	suspects []*subject // to look at again
}

// subject is a path as the index and the stores have it.
type subject struct {
	path        string
	entry       *meta.File // nil: it has none
	main, spare *Object    // nil: it is not there
	twin        *meta.File // the other file of its unit, id and day
	footer      bool       // it is to be read
	named       bool       // the entry is not below its table, so no listing was asked
	waiting     bool       // a copy or deletion of it is still to be done
}

// mayWrite tells whether a unit that is still open may have named the file: it
// names files when it begins.
func (t *tableState) mayWrite(p rebuild.Path) bool {
	for _, u := range t.open {
		id, err := ulid.ParseStrict(u.Unit)
		if err != nil || p.Number/1_000_000 >= int64(id.Time())-openSlack.Milliseconds() {
			return true
		}
	}
	return false
}

// read reads the index, and sorts it on disk. keep says which entries are
// wanted; all if nil.
func (r *run) read(ctx context.Context, name string, keep func(meta.File) bool) (*tableState, error) {
	t := &tableState{entries: &sorter{dir: r.o.Dir}}
	err := r.Catalog.ReadImage(ctx, name, func(img meta.Image) error {
		t.Table, t.version, t.open = img.Table, img.Version, img.Open
		for page, err := range img.Files {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				return err
			}
			for _, f := range page {
				if err := t.take(f, keep); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		t.entries.close()
		return nil, err
	}
	return t, nil
}

func (t *tableState) take(f meta.File, keep func(meta.File) bool) error {
	s := &t.sum
	s.Files, s.Rows, s.Bytes = s.Files+1, s.Rows+f.Rows, s.Bytes+f.Bytes
	if !f.MinTime.IsZero() && (s.Oldest.IsZero() || f.MinTime.Before(s.Oldest)) {
		s.Oldest = f.MinTime
	}
	if f.MaxTime.After(s.Newest) {
		s.Newest = f.MaxTime
	}
	switch {
	case keep != nil && !keep(f):
		return nil
	case keep != nil || strings.HasPrefix(f.Path, t.Name+"/"):
		return t.entries.add(f)
	case len(t.strays) == straysMax:
		return fault.Newf(fault.ResourceExhausted, "more than %d entries whose path is not below %s/; restore the table from a snapshot", straysMax, t.Name)
	}
	t.strays = append(t.strays, f)
	return nil
}

// table checks one table; objects stands on the first that is not before its
// prefix. A table that is gone meanwhile is no error.
func (r *run) table(ctx context.Context, name string, objects *cursor) error {
	r.count(func(res *Result) { res.Tables, res.Table = res.Tables+1, name })
	t, err := r.read(ctx, name, nil)
	if errors.Is(err, meta.ErrTableNotFound) {
		t, err = &tableState{entries: &sorter{}, Table: meta.Table{Name: name}}, nil // its objects are of no table
	}
	if err != nil {
		return err
	}
	defer t.entries.close()
	r.count(func(res *Result) {
		res.Files, res.Rows, res.Bytes = res.Files+t.sum.Files, res.Rows+t.sum.Rows, res.Bytes+t.sum.Bytes
	})
	if err := r.units(ctx, t); err != nil {
		return err
	}
	if err := r.join(ctx, t, objects); err != nil {
		return err
	}
	return r.statistics(ctx, t)
}

// join goes over the index and both stores in the order of keys, a page at a
// time.
func (r *run) join(ctx context.Context, t *tableState, objects *cursor) error {
	spares := noCursor()
	if r.Backup != nil && t.Config.BackupEnabled {
		spares = newCursor(r.Backup.List(ctx, t.Name+"/"))
	}
	defer spares.stop()
	share := r.share(t)
	twins := &twins{table: &t.Table}
	var page []*subject
	take := func(s *subject) error {
		s.footer = r.chosen(s.path, share)
		s.twin = twins.of(s.entry)
		if page = append(page, s); len(page) < pageRows {
			return nil
		}
		err := r.page(ctx, t, page)
		page = nil
		return err
	}
	for f, err := range t.entries.all() {
		if err == nil {
			err = r.orphansBefore(ctx, t, objects, f.Path)
		}
		for err == nil && spares.before(f.Path) {
			spares.pop()
		}
		if err = errors.Join(err, spares.err); err != nil {
			return err
		}
		s := &subject{path: f.Path, entry: &f}
		if objects.has && objects.head.Key == f.Path {
			s.main = copyOf(objects.head)
			r.count(func(res *Result) { res.Objects++ })
			objects.pop()
		}
		if spares.has && spares.head.Key == f.Path {
			s.spare = copyOf(spares.head)
		}
		if err := take(s); err != nil {
			return err
		}
	}
	for i := range t.strays {
		if err := take(&subject{path: t.strays[i].Path, entry: &t.strays[i], named: true}); err != nil {
			return err
		}
	}
	if err := errors.Join(r.orphansBefore(ctx, t, objects, t.Name+"0"), r.page(ctx, t, page)); err != nil { // 0 is after the slash
		return err
	}
	return r.settle(ctx, t)
}

func copyOf(o Object) *Object { return &o }

// orphansBefore takes the table's objects before key: they have no entry.
func (r *run) orphansBefore(ctx context.Context, t *tableState, objects *cursor, key string) error {
	for objects.under(t.Name+"/") && objects.before(key) {
		o := objects.head
		objects.pop()
		r.count(func(res *Result) { res.Objects++ })
		if err := r.orphan(ctx, t, o); err != nil {
			return err
		}
	}
	return objects.err
}

// share is the part of a table's files whose footers are read.
func (r *run) share(t *tableState) float64 {
	switch {
	case r.o.AllFooters:
		return 1
	case r.o.Footers < 0 || t.sum.Files == 0:
		return 0
	}
	return float64(r.o.Footers) / float64(t.sum.Files)
}

// chosen tells whether a file is one of the share; another run has others.
func (r *run) chosen(path string, share float64) bool {
	return share >= 1 || float64(xxhash.Sum64String(r.result.Run+path)) < share*math.MaxUint64
}

// page looks at rows of the join, and keeps those that look wrong.
func (r *run) page(ctx context.Context, t *tableState, page []*subject) error {
	if len(page) == 0 {
		return ctx.Err()
	}
	verdicts, err := r.look(ctx, &t.Table, page)
	if err != nil {
		return err
	}
	for _, v := range verdicts {
		if n := len(t.suspects); n == 0 || t.suspects[n-1] != v.subject {
			t.suspects = append(t.suspects, v.subject)
		}
	}
	r.progress()
	if len(t.suspects) >= suspectsMax {
		return r.settle(ctx, t)
	}
	return nil
}

// twins finds files of one unit, id and day. A unit of writes makes one, and
// names it when it begins, so such a file is near its unit's id in time; an
// ingest may make several, which are not.
type twins struct {
	table *meta.Table
	group string // table, id and day
	units map[string]meta.File
}

func (w *twins) of(f *meta.File) *meta.File {
	s := w.table.Schema()
	id, err := ulid.ParseStrict(f.Unit)
	p, ok := rebuild.ParsePath(f.Path)
	if err != nil || !ok || s.IDColumn == "" && s.TimeColumn == "" {
		return nil
	}
	if group := f.Path[:strings.LastIndexByte(f.Path, '/')]; group != w.group {
		w.group, w.units = group, map[string]meta.File{}
	}
	other, found := w.units[f.Unit]
	if !found {
		if len(w.units) < unitsMax {
			w.units[f.Unit] = *f
		}
		return nil
	}
	q, _ := rebuild.ParsePath(other.Path)
	if !near(p, id) && !near(q, id) {
		return nil
	}
	if near(p, id) && !near(q, id) { // the other one is too many: it is told of as this one's twin
		w.units[f.Unit] = *f
	}
	return &other
}

func near(p rebuild.Path, id ulid.ULID) bool {
	apart := time.UnixMilli(p.Number / 1_000_000).Sub(ulid.Time(id.Time()))
	return apart.Abs() <= unitNearness
}

// sameRows tells whether two entries tell the same of their files.
func sameRows(a, b meta.File) bool {
	return a.Rows == b.Rows && a.MinTime.Equal(b.MinTime) && a.MaxTime.Equal(b.MaxTime) && a.NullTimes == b.NullTimes && a.Ranges == b.Ranges &&
		a.ID == b.ID && a.HasID == b.HasID && a.Day == b.Day && a.SchemaVersion == b.SchemaVersion
}

// statistics compares a table's statistics with the sum of its index, which
// are of one moment.
func (r *run) statistics(ctx context.Context, t *tableState) error {
	have, want := t.Stats, t.sum
	if t.UID == "" || have.Files == want.Files && have.Rows == want.Rows && have.Bytes == want.Bytes && have.Oldest.Equal(want.Oldest) && have.Newest.Equal(want.Newest) {
		return nil
	}
	f := Finding{Kind: Statistics, Table: t.Name, What: fmt.Sprintf("they say %s, the index %s", statsText(have), statsText(want))}
	return r.mend(ctx, t, []*verdict{{Finding: f}})
}

func statsText(s meta.Stats) string {
	return fmt.Sprintf("%d files, %d rows, %d bytes, times %s", s.Files, s.Rows, s.Bytes, timesText(s.Oldest, s.Newest, false))
}
