package planner

// pushFilters notes on each table's leaf the conditions of WHERE that are
// about it alone, so that its rows are filtered where they are read. The
// conditions stay in the tree, marked: a stage that reads the table in place
// keeps them, one that reads the filtered rows leaves them out.
func (d *divider) pushFilters(b *block) {
	for _, c := range conjunctsOf(b.n["where_clause"]) {
		if l := d.alone(b, c); l != nil && !l.nullable {
			d.push(b, l, c)
		} else if kind(c) == "CONJUNCTION_OR" {
			d.pushImplied(b, c)
		}
	}
	d.pushJoins(b, b.from)
	for _, in := range b.nested {
		d.pushFilters(in)
	}
}

// pushImplied notes on a leaf what an OR over several leaves says of it in each
// of its branches.
func (d *divider) pushImplied(b *block, or node) {
	implied := map[*leaf][]any{}
	var order []*leaf
	branches := list(or, "children")
	for i, branch := range branches {
		own := map[*leaf][]node{}
		for _, c := range conjunctsOf(branch) {
			if l := d.alone(b, c); l != nil && !l.nullable {
				if i == 0 && len(own[l]) == 0 {
					order = append(order, l)
				}
				own[l] = append(own[l], d.local(b, c))
			}
		}
		for l, conditions := range own {
			if len(implied[l]) == i {
				implied[l] = append(implied[l], and(conditions))
			}
		}
	}
	for _, l := range order {
		if len(implied[l]) == len(branches) {
			l.filters = append(l.filters, node{"class": "CONJUNCTION", "type": "CONJUNCTION_OR", "alias": "", "query_location": nowhere, "children": implied[l]})
		}
	}
}

// pruneLeaves leaves files out by the conditions that a table's leaf has. A
// table that the statement names once was pruned as a whole.
func (d *divider) pruneLeaves(b *block) {
	for _, l := range b.leaves {
		if l.table == nil || len(l.filters) == 0 || d.refs[l.table.Name] == 1 {
			continue
		}
		n := selectNode([]any{whole(1)}, tableRef(l.table.Name, ""))
		n["where_clause"] = and(l.ownFilters())
		if s := readByTiDB(d.ctx, d.engine, d.statement(n)); s != nil && s.Where != nil {
			l.files, l.raw, l.work, l.rows = l.table.keep(l.table.Name, s.Where), 0, 0, 0
		}
	}
}

// pushJoins does the same for the conditions of joins, and for simple SELECTs
// in FROM.
func (d *divider) pushJoins(b *block, from any) {
	n, _ := from.(node)
	switch kind(n) {
	case "SUBQUERY":
		if in, ok := child(n, "subquery")[mark].(*block); ok && !in.lateral {
			d.pushFilters(in)
		}
		return
	case "JOIN":
	default:
		return
	}
	d.pushJoins(b, n["left"])
	d.pushJoins(b, n["right"])
	right, _ := n["right"].(node)
	b.names.inCondition = true
	defer func() { b.names.inCondition = false }()
	for _, c := range conjunctsOf(n["condition"]) {
		l := d.alone(b, c)
		if l == nil || str(n, "ref_type") == "ASOF" {
			continue
		}
		switch str(n, "join_type") {
		case "INNER":
			if !l.nullable {
				d.push(b, l, c)
			}
		case "LEFT", "SEMI", "ANTI": // a row of the right side that does not fit has no partner
			if right[mark] == any(l) {
				d.push(b, l, c)
			}
		}
	}
}

// alone returns the table's leaf that a condition is about, if it is about one
// alone and a pure function of it.
func (d *divider) alone(b *block, c node) *leaf {
	if hasClass(c, "SUBQUERY", "WINDOW", "LAMBDA", "STAR", "PARAMETER") || !d.isSteady(c) {
		return nil
	}
	var only *leaf
	fits := true
	references(c, func(ref node) {
		r, ok := b.names.lookup(list(ref, "column_names"))
		if !ok || r.field == nil || r.within != b.names || r.field.from.leaf == nil || only != nil && r.field.from.leaf != only {
			fits = false
			return
		}
		only = r.field.from.leaf
	})
	if !fits || only == nil || only.table == nil || only.fixed {
		return nil
	}
	return only
}

// isSteady tells that all functions of an expression depend on their
// arguments alone.
func (d *divider) isSteady(v any) bool {
	steady := true
	walkExpr(v, func(n node) {
		if str(n, "class") == "FUNCTION" && !d.isScalar(n) {
			steady = false
		}
	})
	return steady
}

func (d *divider) isScalar(n node) bool {
	return d.catalog.Functions[fold(str(n, "function_name"))] == Scalar
}

// push notes the condition on the leaf.
func (d *divider) push(b *block, l *leaf, c node) {
	l.filters = append(l.filters, d.local(b, c))
	c[mark] = l
}

// local is a condition over the leaf's own columns.
func (d *divider) local(b *block, c node) node {
	own, _ := clone(c).(node)
	references(own, func(ref node) {
		r, _ := b.names.lookup(list(ref, "column_names"))
		ref["column_names"] = append([]any{r.field.from.name}, r.rest...)
	})
	return own
}

// ownFilters are copies of the leaf's conditions, for one more tree.
func (l *leaf) ownFilters() []node {
	filters := make([]node, len(l.filters))
	for i, f := range l.filters {
		filters[i], _ = clone(f).(node)
	}
	return filters
}

// dropPushed takes the conditions out of a stage's tree that its leaves'
// stages see to.
func dropPushed(v any, pushed func(l *leaf) bool) {
	walk(v, func(n node) bool {
		for _, key := range []string{"where_clause", "condition"} {
			if n[key] == nil {
				continue
			}
			var kept []node
			all := conjunctsOf(n[key])
			for _, c := range all {
				if l, ok := c[mark].(*leaf); !ok || !pushed(l) {
					kept = append(kept, c)
				}
			}
			if len(kept) == len(all) || len(kept) == 0 && key == "condition" {
				continue
			}
			n[key] = and(kept)
		}
		return true
	})
}
