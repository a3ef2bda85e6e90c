package planner

// leaf is one place where a block reads stored rows: a table, or the rows of
// an earlier stage.
type leaf struct {
	node      node // a BASE_TABLE of the tree, which gets the name of a view
	table     *Table
	stage     *Stage // nil for a table
	types     map[string]string
	filters   []node // conditions on this leaf alone, taken out of the block
	nullable  bool   // a row of it that is missing may make others appear, as in an outer join
	renamed   bool   // its columns have other names in the statement
	fixed     bool   // it is read whole, wherever it is read
	files     []File // of a table
	raw, work int64  // sums over the files
	rows      int64
	share     float64 // guess: which part of their bytes the wanted columns are

	reduction float64 // guess: which part of its rows meet those of smaller leaves
	probes    int     // how many such leaves its rows are looked up in

	equals []pair // the leaf's column and another that it must be equal to

	use use
}

// use is how a stage reads a leaf.
type use struct {
	mode mode
	keys []string // for shared: the columns by whose hash rows are dealt out
	cast []string // for shared: the types that they are first cast to, if any
	cuts *cuts    // for shared: where the single key is cut, if not by hash
}

type mode int

const (
	everything mode = iota // each fragment reads all rows
	driven                 // each fragment has the rows that lie with it
	shared                 // each fragment reads the rows of its part
	near                   // each row is read by one fragment, whichever
)

// block is a SELECT as the planner sees it: its own FROM with the simple
// SELECTs in there, and its correlated subqueries. Closed queries within it
// have become stages, which are leaves.
type block struct {
	n       node
	names   *namespace
	from    any
	leaves  []*leaf  // of the block and all blocks within it
	nested  []*block // correlated subqueries
	lateral bool     // of FROM, and names what stands beside it

	joins      *innerJoins // if it is one of plain inner joins
	joinsKnown bool        // whether it is
}

// mark is the field of a tree's node that holds what the planner knows of it:
// the leaf of a BASE_TABLE, the block of a subquery. It is never written out.
const mark = "\x00"

func (b *block) add(l *leaf) {
	l.node[mark] = l
	b.leaves = append(b.leaves, l)
}

// blockOf builds a block. It stages what it has to, and so changes the tree.
func (d *divider) blockOf(n node, outer *namespace) (*block, error) {
	if kind(n) != "SELECT_NODE" || n["sample"] != nil {
		return nil, opaque("a query that is no plain SELECT")
	}
	b := &block{n: n, names: &namespace{outer: outer, using: map[string]source{}, aliases: map[string][]node{}}, from: n["from_table"]}
	for _, v := range list(n, "select_list") {
		item, _ := v.(node)
		if a := str(item, "alias"); a != "" {
			b.names.aliases[fold(a)] = append(b.names.aliases[fold(a)], item)
		}
	}
	if _, err := d.relations(b, b.from, false); err != nil {
		return nil, err
	}
	if err := d.subqueriesOf(b); err != nil {
		return nil, err
	}
	return b, b.resolvable()
}

// isSimple tells a SELECT whose rows each come from one row of its FROM.
func (d *divider) isSimple(n node) bool {
	if kind(n) != "SELECT_NODE" || n["sample"] != nil || n["qualify"] != nil || n["having"] != nil || len(list(n, "modifiers")) > 0 {
		return false
	}
	if len(list(n, "group_expressions")) > 0 || len(list(n, "group_sets")) > 0 || str(n, "aggregate_handling") != "STANDARD_HANDLING" {
		return false
	}
	return !d.hasAggregate(n["select_list"]) && !hasClass(n["select_list"], "WINDOW")
}

func (d *divider) hasAggregate(v any) bool {
	found := false
	walkExpr(v, func(n node) { found = found || d.isAggregate(n) })
	return found
}

func (d *divider) isAggregate(n node) bool {
	return str(n, "class") == "FUNCTION" && d.catalog.Functions[fold(str(n, "function_name"))] == Aggregate
}

// outputs are the columns of the block's result; nil where they are not known.
func (b *block) outputs() []attribute {
	var all []attribute
	for _, v := range list(b.n, "select_list") {
		item, _ := v.(node)
		switch {
		case kind(item) == "STAR":
			fields, ok := b.starFields(item)
			if !ok {
				return nil
			}
			all = append(all, fields...)
			continue
		case str(item, "alias") != "":
			all = append(all, attribute{name: fold(str(item, "alias")), from: b.sourceOf(item)})
			continue
		case kind(item) == "COLUMN_REF":
			names := list(item, "column_names")
			name, _ := names[len(names)-1].(string)
			all = append(all, attribute{name: fold(name), from: b.sourceOf(item)})
			continue
		}
		all = append(all, attribute{})
	}
	return all
}

// starFields are the columns of a plain * or t.*.
func (b *block) starFields(n node) ([]attribute, bool) {
	if n["columns"] == true || n["expr"] != nil || len(b.names.using) > 0 ||
		len(list(n, "exclude_list"))+len(list(n, "replace_list"))+len(list(n, "qualified_exclude_list"))+len(list(n, "rename_list")) > 0 {
		return nil, false
	}
	only := fold(str(n, "relation_name"))
	var all []attribute
	for _, r := range b.names.relations {
		if only != "" && r.alias != only || r.hidden {
			continue
		}
		if r.open {
			return nil, false
		}
		all = append(all, r.fields...)
	}
	return all, len(all) > 0
}

// sourceOf is the stored column that an expression is; none if it is not one
// column unchanged.
func (b *block) sourceOf(e node) source {
	if kind(e) != "COLUMN_REF" {
		return source{}
	}
	r, ok := b.names.lookup(list(e, "column_names"))
	if !ok || r.field == nil || len(r.rest) > 0 {
		return source{}
	}
	return r.field.from
}

// subqueriesOf makes stages of the closed subqueries of the block's
// expressions, and blocks of the others.
func (d *divider) subqueriesOf(b *block) error {
	var found []node
	for _, region := range regions {
		subqueries(b.n[region], func(n node) { found = append(found, n) })
	}
	joinConditions(b.from, func(c any) { subqueries(c, func(n node) { found = append(found, n) }) })
	functionArguments(b.from, func(c any) { subqueries(c, func(n node) { found = append(found, n) }) })
	for _, n := range found {
		if err := d.subquery(b, n); err != nil {
			return err
		}
	}
	return nil
}

// regions are the parts of a SELECT that hold expressions.
var regions = []string{"select_list", "where_clause", "group_expressions", "having", "qualify", "modifiers"}

func joinConditions(from any, visit func(any)) {
	n, _ := from.(node)
	if kind(n) != "JOIN" {
		return
	}
	joinConditions(n["left"], visit)
	joinConditions(n["right"], visit)
	visit(n["condition"])
}

func (d *divider) subquery(b *block, n node) error {
	holder := child(n, "subquery")
	query := child(holder, "node")
	s, err := d.stageIfClosed(query)
	if err != nil {
		return err
	}
	if s != nil {
		from := tableRef(s.view(), "")
		b.add(&leaf{node: from, stage: s, fixed: true})
		items := make([]any, len(s.columns))
		for i := range s.columns {
			items[i] = column(s.stored(i))
		}
		holder["node"] = selectNode(items, from)
		return nil
	}
	in, err := d.blockOf(query, b.names)
	if err != nil {
		return err
	}
	holder[mark] = in
	b.nested = append(b.nested, in)
	b.leaves = append(b.leaves, in.leaves...)
	return nil
}

// resolvable tells that every name of the block is understood.
func (b *block) resolvable() error {
	var err error
	check := func(v any) {
		references(v, func(ref node) {
			names := list(ref, "column_names")
			if _, ok := b.names.lookup(names); ok || err != nil {
				return
			}
			first, _ := names[0].(string)
			if len(b.names.aliases[fold(first)]) == 0 && !b.isMerged(fold(first)) {
				err = opaque("the name " + first)
			}
		})
	}
	for _, region := range regions {
		check(b.n[region])
	}
	b.names.inCondition = true
	joinConditions(b.from, check)
	b.names.inCondition = false
	return err
}

// usesOuter tells that the block, or one within it, names what it sees only in
// outer.
func (b *block) usesOuter(outer *namespace) bool {
	uses := false
	check := func(v any) {
		references(v, func(ref node) {
			r, ok := b.names.lookup(list(ref, "column_names"))
			for s := outer; s != nil && ok; s = s.outer {
				uses = uses || r.within == s
			}
		})
	}
	for _, region := range regions {
		check(b.n[region])
	}
	joinConditions(b.from, check)
	functionArguments(b.from, func(v any) {
		check(v)
		references(v, func(ref node) { // what is not known may be outside
			_, ok := b.names.lookup(list(ref, "column_names"))
			uses = uses || !ok
		})
	})
	for _, in := range b.nested {
		uses = uses || in.usesOuter(outer)
	}
	for _, in := range b.inFrom(b.from) {
		uses = uses || in.usesOuter(outer)
	}
	return uses
}

// inFrom are the blocks that stand in a FROM.
func (b *block) inFrom(from any) []*block {
	n, _ := from.(node)
	switch kind(n) {
	case "JOIN":
		return append(b.inFrom(n["left"]), b.inFrom(n["right"])...)
	case "SUBQUERY":
		if in, ok := child(n, "subquery")[mark].(*block); ok {
			return []*block{in}
		}
	}
	return nil
}

// functionArguments visits the arguments of table functions and values in a
// FROM, which may name what stands before them.
func functionArguments(from any, visit func(any)) {
	n, _ := from.(node)
	switch kind(n) {
	case "JOIN":
		functionArguments(n["left"], visit)
		functionArguments(n["right"], visit)
	case "TABLE_FUNCTION":
		visit(n["function"])
	case "EXPRESSION_LIST":
		visit(n["values"])
	}
}

// isMerged tells a USING column that is of neither side alone.
func (b *block) isMerged(name string) bool {
	for s := b.names; s != nil; s = s.outer {
		if _, ok := s.using[name]; ok {
			return true
		}
	}
	return false
}
