package planner

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
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
	made   int // stages, also those that were given up
	shared []*sharedTable
}

func itoa(i int) string { return strconv.Itoa(i) }

// divide returns the stages of a statement whose result has the given columns.
func (d *divider) divide(root node, columns []Column) ([]*Stage, error) {
	tree, _ := clone(root).(node)
	err := d.inlineCTEs(tree)
	var last *Stage
	if err == nil {
		last, err = d.query(tree, columns)
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

func (d *divider) stageWith(n node, columns []Column) (*Stage, error) {
	before, shared := len(d.stages), d.builtShared()
	try, _ := clone(n).(node)
	s, err := d.query(try, columns)
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
	texts, err := writeTrees(d.ctx, d.engine, []node{d.statement(tree)})
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
	s, err := d.distribute(b)
	if err != nil {
		return nil, err
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

// wanted is which columns a tree may need, by their names alone: it may be too
// many, and never too few.
type wanted struct {
	all   map[*leaf]bool
	names map[string]bool // parts of column names
	rows  map[string]bool // names that may be of a whole row
}

func wantedBy(tree any) *wanted {
	w := &wanted{all: map[*leaf]bool{}, names: map[string]bool{}, rows: map[string]bool{}}
	w.add(tree)
	return w
}

func (w *wanted) add(v any) {
	switch v := v.(type) {
	case []any:
		for _, c := range v {
			w.add(c)
		}
	case node:
		w.node(v)
	}
}

func (w *wanted) node(n node) {
	switch kind(n) {
	case "SELECT_NODE":
		if hasClass([]any{n["select_list"], n["where_clause"], n["group_expressions"], n["having"], n["qualify"]}, "STAR") {
			w.everyColumn(n["from_table"])
		}
	case "COLUMN_REF":
		names := list(n, "column_names")
		for _, v := range names {
			name, _ := v.(string)
			w.names[fold(name)] = true
			if len(names) == 1 {
				w.rows[fold(name)] = true
			}
		}
	case "JOIN":
		if str(n, "ref_type") == "NATURAL" {
			w.everyColumn(n)
		}
		for _, v := range list(n, "using_columns") {
			name, _ := v.(string)
			w.names[fold(name)] = true
		}
	case "PIVOT":
		w.everyColumn(n["source"])
	case "SUBQUERY":
		if query := child(child(n, "subquery"), "node"); str(n, "subquery_type") == "EXISTS" && isPlainStar(query) {
			for k, c := range query { // whether there is a row, not what it holds
				if k != "select_list" {
					w.add(c)
				}
			}
			return
		}
	}
	for k, c := range n {
		if k != mark {
			w.add(c)
		}
	}
}

func isPlainStar(query node) bool {
	items := list(query, "select_list")
	if kind(query) != "SELECT_NODE" || len(items) != 1 {
		return false
	}
	n, _ := items[0].(node)
	return kind(n) == "STAR" && n["columns"] != true && n["expr"] == nil && str(n, "relation_name") == ""
}

// everyColumn wants all columns of the tables that a FROM names itself.
func (w *wanted) everyColumn(from any) {
	n, _ := from.(node)
	switch kind(n) {
	case "JOIN":
		w.everyColumn(n["left"])
		w.everyColumn(n["right"])
	case "BASE_TABLE":
		if l, ok := n[mark].(*leaf); ok {
			w.all[l] = true
		}
	}
}

// columns are those of the leaf's table that are wanted; one at least.
func (w *wanted) columns(l *leaf) []Column {
	all := w.all[l] || l.renamed || w.rows[fold(str(l.node, "alias"))]
	var some []Column
	for _, c := range l.table.Columns {
		if all || w.names[fold(c.Name)] {
			some = append(some, c)
		}
	}
	if len(some) == 0 {
		some = []Column{narrowest(l.table)}
	}
	return some
}

// one makes a single fragment run a query, over tables that are read in
// shares and filtered where they lie.
func (d *divider) one(n node, columns []Column, why string) (*Stage, error) {
	if err := d.resolveShared(n, map[string][]Column{}); err != nil {
		return nil, err
	}
	var failed error
	walk(n, func(t node) bool {
		if kind(t) != "BASE_TABLE" || t[mark] != nil || str(t, "schema_name") == cteSchema {
			return true
		}
		table := d.catalog.Tables[fold(str(t, "table_name"))]
		if table == nil {
			failed = fmt.Errorf("BUG: table %s is not in the catalog", str(t, "table_name"))
			return false
		}
		if str(t, "alias") == "" {
			t["alias"] = str(t, "table_name")
		}
		// Its own sample and renaming stay at its place in the tree.
		t[mark] = &leaf{node: t, table: table, files: d.kept[table.Name], renamed: len(list(t, "column_name_alias")) > 0, share: 1}
		return true
	})
	if failed != nil {
		return nil, failed
	}
	names := make([]any, len(columns))
	for i := range columns {
		names[i] = stored(i)
	}
	s, err := d.emit(selectNode([]any{star()}, subqueryRef(n, "q", names)), columns)
	if s != nil {
		s.Why = why
	}
	return s, err
}

// emit makes the stage that runs a tree, after the stages that read its
// leaves' tables. The tree's columns have numbers for names.
func (d *divider) emit(tree node, columns []Column) (*Stage, error) {
	tree, _ = clone(tree).(node)
	s := &Stage{columns: columns, Follow: -1}
	dropPushed(tree, func(l *leaf) bool { return !l.inPlace() })
	w := wantedBy(tree)
	var failed error
	var split *leaf
	read := map[*leaf]*Stage{}
	walkInOrder(tree, func(n node) bool {
		l, ok := n[mark].(*leaf)
		if !ok || kind(n) != "BASE_TABLE" || failed != nil {
			return failed == nil
		}
		if l.inPlace() && l.use.mode == driven {
			split = l
		}
		from, err := d.read(s, n, l, w)
		if failed = err; from != nil && l.use.mode == everything {
			read[l] = from
		}
		return failed == nil
	})
	if failed != nil {
		return nil, failed
	}
	if split != nil {
		s.narrowings(split, read)
	}
	s.tree = tree
	for _, b := range s.sizes {
		s.bytes = max(s.bytes, b)
	}
	d.add(s)
	return s, nil
}

func (d *divider) add(s *Stage) {
	s.ID = len(d.stages)
	s.serial = d.made
	d.made++
	d.stages = append(d.stages, s)
}

// isDivided tells whether a tree's rows lie spread over fragments.
func isDivided(tree node) bool {
	divided := false
	walk(tree, func(n node) bool {
		if l, ok := n[mark].(*leaf); ok && kind(n) == "BASE_TABLE" && l.use.mode != everything {
			divided = true
		}
		return !divided
	})
	return divided
}

// inPlace tells that a fragment reads the leaf's files itself.
func (l *leaf) inPlace() bool {
	return l.table != nil && (l.use.mode == driven || l.use.mode == everything && l.isEverywhere())
}

// read makes the view that a leaf's node then names, and returns the stage
// whose rows it reads, if it does.
func (d *divider) read(s *Stage, n node, l *leaf, w *wanted) (*Stage, error) {
	n["schema_name"] = ""
	from := l.stage
	if from == nil {
		if l.inPlace() {
			t := StageTable{View: s.tableView(l.table.Name), Table: l.table.Name, Files: l.files, Split: l.use.mode == driven}
			s.Tables = append(s.Tables, t)
			if t.Split {
				s.Kind = Split
			}
			s.sizes = append(s.sizes, l.bytes())
			n["table_name"] = t.View
			return nil, nil
		}
		var err error
		if from, err = d.scan(l, w); err != nil {
			return nil, err
		}
	}
	s.sizes = append(s.sizes, from.bytes)
	r := Read{Stage: from.ID, Keys: l.use.hashed(), Own: l.use.mode == driven, Near: l.use.mode == near}
	switch {
	case r.Own:
		s.Kind, s.Follow = Follow, from.ID
	case r.Near || len(r.Keys) > 0:
		s.Kind = Shared
	}
	n["table_name"] = s.readView(r)
	return from, nil
}

// hashed are the keys as SQL.
func (u use) hashed() []string {
	var keys []string
	for i, k := range u.keys {
		k = `"` + strings.ReplaceAll(k, `"`, `""`) + `"`
		if i < len(u.cast) && u.cast[i] != "" {
			k = "CAST(" + k + " AS " + u.cast[i] + ")"
		}
		keys = append(keys, k)
	}
	return keys
}

// scan makes the stage that reads a table's columns, filtered.
func (d *divider) scan(l *leaf, w *wanted) (*Stage, error) {
	s := &Stage{Kind: Split, Follow: -1, bytes: l.bytes(), scan: true,
		Tables: []StageTable{{View: l.table.Name, Table: l.table.Name, Files: l.files, Split: true}}}
	s.columns = w.columns(l)
	items := make([]any, len(s.columns))
	for i, c := range s.columns {
		items[i] = column(c.Name)
	}
	tree := selectNode(items, tableRef(l.table.Name, ""))
	filters := make([]node, len(l.filters))
	for i, f := range l.filters {
		filters[i], _ = clone(f).(node)
	}
	tree["where_clause"] = and(filters)
	s.tree = tree
	d.add(s)
	return s, nil
}

// narrowest is a column that costs little to read.
func narrowest(t *Table) Column {
	for _, c := range t.Columns {
		switch c.Type {
		case "BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "DATE", "DOUBLE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE":
			return c
		}
	}
	return t.Columns[0]
}

// write writes the stages' trees as SQL.
func (d *divider) write() error {
	trees := make([]node, len(d.stages))
	for i, s := range d.stages {
		trees[i] = d.statement(s.tree)
	}
	texts, err := writeTrees(d.ctx, d.engine, trees)
	if err != nil {
		return err
	}
	for i, s := range d.stages {
		s.SQL = texts[i]
	}
	return nil
}
