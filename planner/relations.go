package planner

import "strings"

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
	for i, v := range names {
		name, _ := v.(string)
		unequal := str(n, "ref_type") == "ASOF" && i == len(names)-1 // the last column of ASOF is compared by >=
		if l, r := b.names.common(fold(name), left), b.names.common(fold(name), right); l.leaf != nil && r.leaf != nil && sameHash(l, r) && !unequal {
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
	l := &leaf{node: n, table: t, files: d.kept[t.Name], share: 1, reduction: 1, nullable: nullable, types: map[string]string{}, renamed: len(list(n, "column_name_alias")) > 0}
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
	simple := d.isSimple(query)
	if !simple {
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
	if in.lateral = !simple || in.usesOuter(b.names); in.lateral { // it runs for each row beside it, over whole tables
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
