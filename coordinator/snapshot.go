//go:build duckdb_arrow

package coordinator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"skein/internal/fault"
	"skein/meta"
	"skein/meta/member"
	"skein/planner"
	nodev1 "skein/proto/node/v1"
)

// tableView is a table at one moment: committed files and unflushed rows, each
// row once.
type tableView struct {
	meta.Table
	files []meta.File
	hot   []hotUnit

	listed *tableListing // that files are of; nil for a table that is only described
}

// hotUnit is the unflushed rows of one unit.
type hotUnit struct {
	node meta.Node
	unit *nodev1.HotUnit
}

// path names the unit among the table's files.
func (h hotUnit) path() string { return "unflushed/" + h.node.ID + "/" + h.unit.Unit }

// listings keeps the last listing of each table, which is good as long as the
// table's version is the same.
type listings struct {
	mu sync.Mutex
	m  map[string]*tableListing
}

// tableListing is the listing of one incarnation of a table, and what the
// planner needs of it, which takes a while to make of many files.
type tableListing struct {
	meta.Listing
	uid    string
	newest int // schema version of a file

	mu      sync.Mutex
	version int            // of the table's schema that planned is for
	planned *planner.Table // not to be changed
}

func (l *listings) forget(table string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.m, table)
}

// listing returns the table's index as it is now. ok is false where that is
// the index of another table of the name, made meanwhile.
func (c *Coordinator) listing(ctx context.Context, t meta.Table) (l *tableListing, ok bool, err error) {
	version, err := c.Meta.Version(ctx, t.Name)
	if err != nil {
		return nil, false, err
	}
	c.listings.mu.Lock()
	known := c.listings.m[t.Name]
	c.listings.mu.Unlock()
	if known != nil && known.Version == version {
		return known, known.uid == t.UID, nil
	}
	read, err := c.Meta.Listing(ctx, t.Name)
	if err != nil {
		return nil, false, err
	}
	// A listing does not tell whose it is: it is t's if t is there after it.
	now, err := c.Meta.Table(ctx, t.Name)
	if err != nil || now.UID != t.UID {
		return nil, false, err
	}
	l = &tableListing{Listing: read, uid: t.UID}
	for i := range l.Files {
		l.newest = max(l.newest, l.Files[i].SchemaVersion)
	}
	c.listings.mu.Lock()
	defer c.listings.mu.Unlock()
	if c.listings.m == nil {
		c.listings.m = map[string]*tableListing{}
	}
	if c.listings.m[t.Name] != nil {
		c.plans.forget()
	}
	c.listings.m[t.Name] = l
	return l, true, nil
}

// hotTimeout is how long a node may take to tell its unflushed rows. It reads
// nothing but memory for that.
const hotTimeout = 10 * time.Second

// snapshotTries bounds how often a snapshot starts over because the table was
// dropped and made again meanwhile.
const snapshotTries = 4

// snapshot reads a table. The order matters: first the unflushed rows, then
// the index. A unit that is committed in between is then found in the index,
// and its unflushed rows are left out; so each row is seen once.
func (c *Coordinator) snapshot(ctx context.Context, name string) (*tableView, error) {
	for range snapshotTries {
		v, err := c.trySnapshot(ctx, name)
		if v != nil || err != nil {
			return v, err
		}
	}
	return nil, fmt.Errorf("table %s: %w", name, meta.ErrConflict)
}

func (c *Coordinator) trySnapshot(ctx context.Context, name string) (*tableView, error) {
	t, err := c.Meta.Table(ctx, name)
	if err != nil {
		return nil, err
	}
	l, ok, err := c.listing(ctx, t)
	if err != nil || !ok {
		return nil, err
	}
	v := &tableView{Table: t}
	if len(l.Open) > 0 {
		units, missing, err := c.hotUnits(ctx, t, l.Open)
		if err != nil {
			return nil, err
		}
		if l, ok, err = c.listing(ctx, t); err != nil || !ok {
			return nil, err
		}
		for _, m := range missing {
			if !l.Units[m.Unit] && slices.Contains(l.Open, m) {
				return nil, fault.Newf(fault.Unavailable, "node %s may hold unflushed rows of table %s and does not answer; start it again, or retry when it is back", m.Node, name).RetryIn(time.Second)
			}
		}
		for _, u := range units {
			if !l.Units[u.unit.Unit] {
				v.hot = append(v.hot, u)
			}
		}
	}
	v.files, v.listed = l.Files, l
	return c.withSchema(ctx, v)
}

// withSchema sees to it that the table's schemas cover all of its files.
func (c *Coordinator) withSchema(ctx context.Context, v *tableView) (*tableView, error) {
	newest := v.listed.newest
	for _, h := range v.hot {
		newest = max(newest, int(h.unit.SchemaVersion))
	}
	if newest <= v.SchemaVersion() {
		return v, nil
	}
	t, err := c.Meta.Table(ctx, v.Name)
	if err != nil {
		return nil, err
	}
	if t.UID != v.UID || newest > t.SchemaVersion() {
		return nil, nil // dropped and made again: start over
	}
	v.Table = t
	return v, nil
}

// hotUnits asks the nodes of the open units for their unflushed rows. The
// units of nodes that do not answer are returned as missing, unless they were
// given up.
func (c *Coordinator) hotUnits(ctx context.Context, t meta.Table, open []meta.OpenUnit) (units []hotUnit, missing []meta.OpenUnit, err error) {
	nodes, _, err := c.view(ctx)
	if err != nil {
		return nil, nil, err
	}
	byNode := map[string][]meta.OpenUnit{}
	for _, u := range open {
		byNode[member.Holder(u)] = append(byNode[member.Holder(u)], u)
	}
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	for id, opened := range byNode {
		g.Go(func() error {
			n, r, err := c.hotOf(ctx, nodes, id, t)
			mu.Lock()
			defer mu.Unlock()
			if fault.CodeOf(err) == fault.Unavailable {
				if opened = slices.DeleteFunc(opened, member.IsGivenUp); len(opened) > 0 {
					c.Log.Warn("unflushed rows", "table", t.Name, "node", id, "error", err)
				}
				missing = append(missing, opened...)
				return nil
			}
			if err != nil {
				return err
			}
			for _, u := range r.Units {
				units = append(units, hotUnit{node: n, unit: u})
			}
			return nil
		})
	}
	return units, missing, g.Wait()
}

func (c *Coordinator) hotOf(ctx context.Context, nodes []meta.Node, id string, t meta.Table) (meta.Node, *nodev1.HotResponse, error) {
	for _, n := range nodes {
		if n.ID != id || n.Left {
			continue
		}
		w := c.worker(n)
		if err := w.Ready(ctx); err != nil {
			return n, nil, err
		}
		call, cancel := context.WithTimeout(ctx, hotTimeout)
		defer cancel()
		r, err := w.Hot(call, &nodev1.HotRequest{Table: t.Name, TableUid: t.UID})
		if err != nil && call.Err() != nil && ctx.Err() == nil {
			err = fault.Newf(fault.Unavailable, "node %s did not answer for %v", id, hotTimeout)
		}
		return n, r, err
	}
	return meta.Node{}, nil, fault.Newf(fault.Unavailable, "node %s is not in the cluster", id)
}

// snapshots reads the tables of a query.
func (c *Coordinator) snapshots(ctx context.Context, names []string) (map[string]*tableView, error) {
	views := make(map[string]*tableView, len(names))
	for _, name := range names {
		v, err := c.snapshot(ctx, name)
		if err != nil {
			return nil, unknownTable(name, err)
		}
		views[name] = v
	}
	return views, nil
}

// unknown is an error about a table that a statement names in vain.
type unknown struct {
	table string
	error
}

func (u *unknown) Error() string {
	return "table " + u.table + " does not exist; SHOW TABLES lists those that do"
}

func (u *unknown) Unwrap() error { return u.error }

func unknownTable(name string, err error) error {
	if errors.Is(err, meta.ErrTableNotFound) {
		return &unknown{name, err}
	}
	return err
}

// planned is the table as the planner sees it.
func (v *tableView) planned() *planner.Table {
	t := *v.committed()
	for i, h := range v.hot {
		t.Unflushed = append(t.Unflushed, planner.File{Path: h.path(), At: len(v.files) + i, Rows: h.unit.Rows, Bytes: h.unit.Bytes,
			MinTime: time.UnixMicro(h.unit.MinTimeUs).UTC(), MaxTime: time.UnixMicro(h.unit.MaxTimeUs).UTC()})
	}
	return &t
}

// committed is the table with the files of the index, made once for each
// listing and schema.
func (v *tableView) committed() *planner.Table {
	if v.listed == nil {
		return v.plan()
	}
	v.listed.mu.Lock()
	defer v.listed.mu.Unlock()
	if v.listed.planned == nil || v.listed.version != v.SchemaVersion() {
		v.listed.planned, v.listed.version = v.plan(), v.SchemaVersion()
	}
	return v.listed.planned
}

func (v *tableView) plan() *planner.Table {
	s := v.Schema()
	t := &planner.Table{Name: v.Name, Records: s.Records, TimeColumn: s.TimeColumn, IDColumn: s.IDColumn}
	for _, col := range s.Columns {
		t.Columns = append(t.Columns, planner.Column{Name: col.Name, Field: col.Field, Type: col.Type.SQL()})
	}
	ranges, columns := make([]fileRanges, len(v.files)), make([][]storedColumn, len(v.Schemas))
	t.Files = make([]planner.File, len(v.files))
	for i := range v.files {
		f := &v.files[i]
		if columns[f.SchemaVersion] == nil {
			columns[f.SchemaVersion] = storedColumns(v.Schemas[f.SchemaVersion], s)
		}
		ranges[i] = fileRanges{f, columns[f.SchemaVersion]}
		t.Files[i] = planner.File{Path: f.Path, At: i, ID: f.ID, HasID: f.HasID, MinTime: f.MinTime, MaxTime: f.MaxTime, Rows: f.Rows, Bytes: f.Bytes, Ranges: &ranges[i]}
	}
	t.ByID = planner.IndexFiles(t.Files)
	return t
}

// storedColumn says where a file has a column of the current schema.
type storedColumn struct {
	place   int  // in the schema of the file; -1 where all rows read as NULL
	ordered bool // its bounds are those of what is read from it
}

func storedColumns(stored, current meta.Schema) []storedColumn {
	columns := make([]storedColumn, len(current.Columns))
	for i, c := range current.Columns {
		columns[i] = storedColumn{place: stored.Column(c.Name)}
		if j := columns[i].place; j >= 0 {
			columns[i].ordered = meta.KeepsOrder(stored.Columns[j].Type, c.Type)
		}
	}
	return columns
}

// fileRanges implements planner.Ranges.
type fileRanges struct {
	file    *meta.File
	columns []storedColumn
}

func (r *fileRanges) Range(column int) planner.Range {
	c := r.columns[column]
	if c.place < 0 {
		return planner.Range{AllNulls: true}
	}
	stored, ok := r.file.Ranges.Of(c.place)
	if !ok {
		return planner.Range{}
	}
	known := planner.Range{NoNulls: stored.Nulls == 0, AllNulls: stored.Nulls == r.file.Rows}
	if c.ordered {
		known.Min, known.Max = stored.Min, stored.Max
	}
	return known
}

// scan is the part of the table that a fragment reads.
func (v *tableView) scan(files []planner.File) *nodev1.TableScan {
	s := &nodev1.TableScan{View: v.Name}
	for _, col := range v.Schema().Columns {
		s.Columns = append(s.Columns, &nodev1.Column{Name: col.Name, Type: col.Type.SQL()})
	}
	groups := map[int]*nodev1.FileGroup{}
	group := func(version int) *nodev1.FileGroup {
		if groups[version] == nil {
			groups[version] = &nodev1.FileGroup{Expressions: v.expressions(version)}
		}
		return groups[version]
	}
	for _, wanted := range files {
		if wanted.At < len(v.files) {
			f := v.files[wanted.At]
			g := group(f.SchemaVersion)
			g.Splits = append(g.Splits, &nodev1.Split{Path: f.Path, Size: f.Bytes, Rows: f.Rows})
			continue
		}
		h := v.hot[wanted.At-len(v.files)]
		g := group(int(h.unit.SchemaVersion))
		g.Splits = append(g.Splits, &nodev1.Split{Size: h.unit.Bytes, Rows: h.unit.Rows, Hot: &nodev1.HotSplit{
			NodeId: h.node.ID, Address: h.node.Address, TableUid: v.UID, Unit: h.unit.Unit, Rows: h.unit.Rows}})
	}
	for version := range v.Schemas {
		if g := groups[version]; g != nil {
			s.Groups = append(s.Groups, g)
		}
	}
	return s
}

// expressions read the columns of the current schema from a file of an older
// one.
func (v *tableView) expressions(version int) []string {
	stored := v.Schemas[version]
	current := v.Schema().Columns
	exprs := make([]string, len(current))
	for i, col := range current {
		exprs[i] = meta.MissingExpr(col.Type)
		if j := stored.Column(col.Name); j >= 0 {
			exprs[i] = meta.ReadExpr(stored.Columns[j].Name, stored.Columns[j].Type, col.Type)
		}
	}
	return exprs
}
