package planner

import (
	"context"
	"errors"
	"maps"
	"strconv"
)

// divider turns one statement into stages.
type divider struct {
	ctx     context.Context
	engine  Binder
	catalog *Catalog
	kept    map[string][]File   // by table: what pruning left
	views   map[string][]Column // the tables' columns
	refs    map[string]int      // how often the statement names a table

	stages []*Stage
	made   int  // stages, also those that were given up
	unseen bool // a stage names a table that the planner has not seen
	shared []*sharedTable
}

func itoa(i int) string { return strconv.Itoa(i) }

// divide returns the stages of a statement whose result has the given columns.
func (d *divider) divide(root node, columns []Column) ([]*Stage, error) {
	tree, _ := clone(root).(node)
	err := d.inlineCTEs(tree)
	var last *Stage
	if err == nil {
		last, err = d.seen(d.query(tree, columns))
	}
	var o opaque
	if errors.As(err, &o) {
		d.stages, d.shared = nil, nil
		tree, _ = clone(root).(node)
		last, err = d.one(tree, columns, string(o))
	}
	if err != nil {
		return nil, err
	}
	last.answer(columns)
	return d.stages, nil
}

// stageOf makes stages of a query that names nothing outside itself, and
// returns the one that has its rows.
func (d *divider) stageOf(n node) (*Stage, error) {
	columns, err := d.describe(n)
	if err != nil {
		return nil, err
	}
	return d.stageWith(n, columns)
}

// seen is the outcome of query, unless a table has escaped it.
func (d *divider) seen(s *Stage, err error) (*Stage, error) {
	if d.unseen {
		d.unseen = false
		return nil, opaque("a table in an unusual place")
	}
	return s, err
}

func (d *divider) stageWith(n node, columns []Column) (*Stage, error) {
	before, shared := len(d.stages), d.builtShared()
	try, _ := clone(n).(node)
	s, err := d.seen(d.query(try, columns))
	var o opaque
	if errors.As(err, &o) {
		d.stages = d.stages[:before]
		d.forgetShared(shared)
		s, err = d.one(n, columns, string(o))
	}
	return s, err
}

func (d *divider) builtShared() map[int]bool {
	built := map[int]bool{}
	for i, s := range d.shared {
		built[i] = s.stage != nil
	}
	return built
}

// forgetShared undoes the stages of shared expressions made since built.
func (d *divider) forgetShared(built map[int]bool) {
	for i, s := range d.shared {
		if !built[i] {
			s.stage = nil
		}
	}
}

// stageIfClosed is stageOf for a query that names nothing outside itself, and
// nil for another. DuckDB can bind a closed query as it stands. Names are
// looked up inside first, so it then means the same inside and outside.
func (d *divider) stageIfClosed(n node) (*Stage, error) {
	columns, err := d.describe(n)
	var o opaque
	switch {
	case errors.As(err, &o):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return d.stageWith(n, columns)
}

// describe returns the columns of a query that stands alone.
func (d *divider) describe(n node) ([]Column, error) {
	tree, _ := clone(n).(node)
	views := maps.Clone(d.views)
	if err := d.resolveShared(tree, views); err != nil {
		return nil, err
	}
	texts, err := d.writeTrees([]node{d.statement(tree)})
	if err != nil {
		return nil, err
	}
	columns, err := d.engine.Describe(d.ctx, texts[0], views)
	if err != nil {
		var refused *Error
		if d.ctx.Err() == nil && errors.As(err, &refused) {
			return nil, opaque(err.Error())
		}
		return nil, err
	}
	return columns, nil
}

// resolveShared gives the references to shared expressions and stages the
// names of views, and tells these views' columns.
func (d *divider) resolveShared(tree node, views map[string][]Column) error {
	var failed error
	walk(tree, func(n node) bool {
		if kind(n) != "BASE_TABLE" || failed != nil {
			return failed == nil
		}
		if l, ok := n[mark].(*leaf); ok && l.stage != nil {
			views[l.stage.view()] = l.stage.storedColumns()
			return true
		}
		i, ok := n[cteIndex].(int)
		if !ok {
			return true
		}
		if failed = d.placeShared(n, i); failed == nil {
			walk(n, func(in node) bool {
				if l, ok := in[mark].(*leaf); ok && l.stage != nil {
					views[l.stage.view()] = l.stage.storedColumns()
				}
				return true
			})
		}
		return false
	})
	return failed
}

// placeShared puts the rows of a shared expression in the place of its name.
func (d *divider) placeShared(n node, i int) error {
	if i < 0 {
		return opaque("a common table expression")
	}
	b := &block{names: &namespace{}}
	_, err := d.sharedCTE(b, n, fold(str(n, "table_name")), false)
	return err
}

// statement is a query as DuckDB's functions take it.
func (d *divider) statement(query node) node {
	tree, _ := clone(query).(node)
	strip(tree)
	return node{"node": tree, "named_param_map": []any{}}
}

// strip takes out what the planner noted in a tree, and writes true and false
// as DuckDB does.
func strip(tree node) {
	walk(tree, func(n node) bool {
		if v := child(n, "value"); kind(n) == "VALUE_CONSTANT" && str(child(v, "type"), "id") == "BOOLEAN" && v["is_null"] != true {
			become(n, boolean(v["value"] == true))
		}
		delete(n, mark)
		delete(n, cteIndex)
		if str(n, "schema_name") == cteSchema {
			n["schema_name"] = ""
		}
		return true
	})
}

// query divides a query. It changes the tree.
func (d *divider) query(n node, columns []Column) (*Stage, error) {
	switch kind(n) {
	case "SELECT_NODE":
		return d.selectQuery(n, columns)
	case "SET_OPERATION_NODE":
		return d.setOperation(n, columns)
	}
	return nil, opaque("a query of another kind")
}

func (d *divider) selectQuery(n node, columns []Column) (*Stage, error) {
	b, err := d.blockOf(n, nil)
	if err != nil {
		return nil, err
	}
	if len(b.leaves) == 0 {
		return nil, opaque("no table")
	}
	if err := d.groupByAll(b); err != nil {
		return nil, err
	}
	d.pushFilters(b)
	d.pruneLeaves(b)
	b.narrow()
	d.measure(b)
	s, last, err := d.distribute(b)
	if err != nil {
		return nil, err
	}
	if last != nil {
		if s, err := d.joinLater(last, columns); s != nil || err != nil {
			return s, err
		}
	}
	switch {
	case d.isAggregated(b):
		return d.aggregate(b, s, columns)
	case hasClass(b.n["select_list"], "WINDOW") || b.n["qualify"] != nil || hasClass(b.n["modifiers"], "WINDOW"):
		return d.window(b, s, columns)
	}
	return d.finish(b, columns)
}

// measure notes which part of its table each leaf needs.
func (d *divider) measure(b *block) {
	w := wantedBy(b.n)
	for _, l := range b.leaves {
		if l.table != nil {
			l.share = columnShare(l.table, w.columns(l))
		}
	}
}

// write writes the stages' trees as SQL.
func (d *divider) write() error {
	trees := make([]node, len(d.stages))
	for i, s := range d.stages {
		trees[i] = d.statement(s.tree)
	}
	texts, err := d.writeTrees(trees)
	if err != nil {
		return err
	}
	for i, s := range d.stages {
		s.SQL, s.tree = texts[i], nil
	}
	return nil
}
