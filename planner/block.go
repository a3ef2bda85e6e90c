package planner

import "strings"

// leaf is one place where a block reads stored rows: a table, or the rows of
// an earlier stage.
type leaf struct {
	node     node // a BASE_TABLE of the tree, which gets the name of a view
	table    *Table
	stage    *Stage // nil for a table
	types    map[string]string
	filters  []node  // conditions on this leaf alone, taken out of the block
	nullable bool    // a row of it that is missing may make others appear, as in an outer join
	renamed  bool    // its columns have other names in the statement
	fixed    bool    // it is read whole, wherever it is read
	files    []File  // of a table
	share    float64 // guess: which part of their bytes the wanted columns are

	equals []pair // the leaf's column and another that it must be equal to

	use use
}

// use is how a stage reads a leaf.
type use struct {
	mode mode
	keys []string // for shared: the columns by whose hash rows are dealt out
	cast []string // for shared: the types that they are first cast to, if any
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

// relations adds the relations of a FROM to the block and returns them.
func (d *divider) relations(b *block, from any, nullable bool) ([]*relation, error) {
	n, _ := from.(node)
	if n["sample"] != nil {
		return nil, opaque("SAMPLE")
	}
	var r *relation
	var err error
	switch kind(n) {
	case "", "EMPTY":
		return nil, nil
	case "JOIN":
		return d.join(b, n, nullable)
	case "BASE_TABLE":
		r, err = d.base(b, n, nullable)
	case "SUBQUERY":
		r, err = d.derivedTable(b, n, nullable)
	case "TABLE_FUNCTION", "EXPRESSION_LIST":
		r = &relation{alias: fold(str(n, "alias")), open: true}
		if columns := list(n, "column_name_alias"); len(columns) > 0 && kind(n) == "TABLE_FUNCTION" {
			r.fields, r.open = namedFields(columns), false
		}
		if values := list(n, "values"); len(values) > 0 && len(list(n, "expected_names")) == 0 {
			row, _ := values[0].([]any)
			for i := range row {
				r.fields = append(r.fields, attribute{name: "col" + itoa(i)})
			}
			r.open = false
		}
	default:
		return nil, opaque(strings.ToLower(kind(n)))
	}
	if err != nil {
		return nil, err
	}
	b.names.relations = append(b.names.relations, r)
	return []*relation{r}, nil
}

func namedFields(names []any) []attribute {
	fields := make([]attribute, len(names))
	for i, v := range names {
		name, _ := v.(string)
		fields[i].name = fold(name)
	}
	return fields
}

func (d *divider) join(b *block, n node, nullable bool) ([]*relation, error) {
	switch str(n, "ref_type") {
	case "REGULAR", "CROSS", "NATURAL", "ASOF":
	default:
		return nil, inOrder(strings.ToLower(str(n, "ref_type")) + " join")
	}
	tp := str(n, "join_type")
	left, err := d.relations(b, n["left"], nullable || tp == "RIGHT" || tp == "FULL")
	if err != nil {
		return nil, err
	}
	right, err := d.relations(b, n["right"], nullable || tp == "LEFT" || tp == "FULL" || str(n, "ref_type") == "ASOF")
	if err != nil {
		return nil, err
	}
	names := list(n, "using_columns")
	if str(n, "ref_type") == "NATURAL" {
		if names, err = commonColumns(left, right); err != nil {
			return nil, err
		}
	}
	var equal []pair
	for _, v := range names {
		name, _ := v.(string)
		if l, r := b.names.common(fold(name), left), b.names.common(fold(name), right); l.leaf != nil && r.leaf != nil && sameHash(l, r) {
			equal = append(equal, pair{l, r})
		}
		b.names.merge(fold(name), tp, left, right)
	}
	n[mark] = equal
	if tp == "SEMI" || tp == "ANTI" { // the right side's columns end here
		for _, r := range right {
			r.hidden = true
		}
		return left, nil
	}
	return append(left, right...), nil
}

func commonColumns(left, right []*relation) ([]any, error) {
	var names []any
	for _, l := range left {
		for _, r := range right {
			if l.open || r.open {
				return nil, opaque("NATURAL JOIN of columns that are not known")
			}
		}
		for _, f := range l.fields {
			for _, r := range right {
				if r.find(f.name) != nil {
					names = append(names, f.name)
				}
			}
		}
	}
	return names, nil
}

// common is the column that a USING takes from one of its sides.
func (s *namespace) common(name string, side []*relation) source {
	if known, ok := s.using[name]; ok {
		return known
	}
	for _, r := range side {
		if a := r.find(name); a != nil {
			return a.from
		}
	}
	return source{}
}

// merge notes what the plain name of a USING column means.
func (s *namespace) merge(name, tp string, left, right []*relation) {
	switch tp {
	case "FULL":
		s.using[name] = source{} // of neither side
	case "RIGHT":
		delete(s.using, name)
		s.using[name] = s.common(name, right)
	default:
		s.using[name] = s.common(name, left)
	}
}

func (d *divider) base(b *block, n node, nullable bool) (*relation, error) {
	name := fold(str(n, "table_name"))
	alias := fold(str(n, "alias"))
	if alias == "" {
		alias = name
	}
	if str(n, "schema_name") == cteSchema {
		return d.sharedCTE(b, n, alias, nullable)
	}
	t := d.catalog.Tables[name]
	if t == nil {
		return nil, opaque("table " + name)
	}
	l := &leaf{node: n, table: t, files: d.kept[t.Name], share: 1, nullable: nullable, types: map[string]string{}, renamed: len(list(n, "column_name_alias")) > 0}
	b.add(l)
	r := &relation{alias: alias}
	renamed := list(n, "column_name_alias")
	for i, c := range t.Columns {
		l.types[fold(c.Name)] = c.Type
		f := attribute{name: fold(c.Name), from: source{l, fold(c.Name)}}
		if i < len(renamed) {
			s, _ := renamed[i].(string)
			f.name = fold(s)
		}
		r.fields = append(r.fields, f)
	}
	if str(n, "alias") == "" { // it keeps its name when it becomes a view
		n["alias"] = str(n, "table_name")
	}
	return r, nil
}

// derivedTable keeps a simple SELECT of a FROM in its place, and makes a stage
// of any other.
func (d *divider) derivedTable(b *block, n node, nullable bool) (*relation, error) {
	query := child(child(n, "subquery"), "node")
	alias := fold(str(n, "alias"))
	if !d.isSimple(query) {
		s, err := d.stageIfClosed(query)
		if err != nil {
			return nil, err
		}
		if s != nil {
			return d.staged(b, n, s, alias, nullable), nil
		}
	}
	in, err := d.blockOf(query, b.names)
	if err != nil {
		return nil, err
	}
	if in.lateral = in.usesOuter(b.names); in.lateral { // it runs for each row beside it, over whole tables
		for _, l := range in.leaves {
			l.fixed = true
		}
	}
	for _, l := range in.leaves {
		l.nullable = l.nullable || nullable
	}
	b.leaves = append(b.leaves, in.leaves...)
	child(n, "subquery")[mark] = in
	r := &relation{alias: alias, fields: in.outputs()}
	for i, v := range list(n, "column_name_alias") {
		if i >= len(r.fields) {
			break
		}
		name, _ := v.(string)
		r.fields[i].name = fold(name)
	}
	for _, f := range r.fields {
		r.open = r.open || f.name == ""
	}
	if r.fields == nil {
		r.open = true
	}
	return r, nil
}

// staged puts the rows of a stage in the place of a derived table.
func (d *divider) staged(b *block, n node, s *Stage, alias string, nullable bool) *relation {
	from := tableRef(s.view(), "")
	l := &leaf{node: from, stage: s, nullable: nullable, types: map[string]string{}}
	b.add(l)
	r := &relation{alias: alias}
	names := list(n, "column_name_alias")
	items := make([]any, len(s.columns))
	for i, c := range s.columns {
		name := c.Name
		if i < len(names) {
			name, _ = names[i].(string)
		}
		stored := s.stored(i)
		l.types[stored] = c.Type
		items[i] = as(column(stored), name)
		r.fields = append(r.fields, attribute{name: fold(name), from: source{l, stored}})
	}
	outer := str(n, "alias")
	clear(n)
	for k, v := range subqueryRef(selectNode(items, from), outer, []any{}) {
		n[k] = v
	}
	return r
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
	functionArguments(b.from, check)
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
