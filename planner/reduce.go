package planner

import (
	"cmp"
	"slices"
)

// A table whose rows must meet those of a much smaller leaf is read with that
// leaf's values at hand: what meets none of them is not kept, dealt out or
// sent. It is what a bloom filter does elsewhere, exactly.

const (
	reduceShare = 0.3      // of the table's bytes: what a leaf may take to be sent ahead
	reduceBytes = 64 << 20 // and at most
	probeBytes  = 1 << 20  // what a leaf may take for its values to be looked up at no cost
)

// scans makes the stages that read the tables of a tree's leaves, small ones
// first, so that they reduce the others.
func (d *divider) scans(tree node, w *wanted) map[*leaf]*Stage {
	var leaves []*leaf
	walkInOrder(tree, func(n node) bool {
		if l, ok := n[mark].(*leaf); ok && kind(n) == "BASE_TABLE" && l.table != nil && !l.inPlace() && !slices.Contains(leaves, l) {
			leaves = append(leaves, l)
		}
		return true
	})
	slices.SortStableFunc(leaves, func(a, b *leaf) int {
		return cmp.Compare(a.unreduced(), b.unreduced())
	})
	made := map[*leaf]*Stage{}
	for _, l := range leaves {
		made[l] = d.scan(l, w, made)
	}
	return made
}

// reduce adds to a table's scan the conditions that its rows meet those of
// smaller leaves.
func (d *divider) reduce(s *Stage, l *leaf, made map[*leaf]*Stage) []node {
	var conditions []node
	seen := map[string]bool{}
	for _, p := range l.equals {
		m := p[1].leaf
		if !m.reduces(l) || isEcho(p) {
			continue
		}
		if m.isTiny() {
			conditions = append(conditions, s.amongTiny(p, map[*leaf]bool{l: true}))
			continue
		}
		from := made[m]
		if m.stage != nil {
			from = m.stage
		}
		if from == nil {
			continue
		}
		kept := s.narrowBy(leafView{l, l.table.Name}, p, from)
		if kept == "" || seen[itoa(from.ID)+kept+p[0].name] {
			continue
		}
		seen[itoa(from.ID)+kept+p[0].name] = true
		values := selectNode([]any{column(kept)}, tableRef(s.readView(Read{Stage: from.ID, Only: kept}), ""))
		conditions = append(conditions, in(column(p[0].name), values))
	}
	return conditions
}

// reduceInPlace puts the conditions that the rows of a table which a fragment
// reads itself meet those of smaller leaves right above the table. DuckDB finds
// by itself that a join leaves few rows only where it knows both sides well.
func (d *divider) reduceInPlace(s *Stage, n node, l *leaf, scans map[*leaf]*Stage) bool {
	if n["sample"] != nil || len(list(n, "column_name_alias")) > 0 {
		return false
	}
	var conditions []node
	for _, p := range l.equals {
		m := p[1].leaf
		if m.use.mode != everything || !m.reduces(l) || isEcho(p) {
			continue
		}
		if m.isTiny() {
			conditions = append(conditions, s.amongTiny(p, map[*leaf]bool{l: true}))
			continue
		}
		from := scans[m]
		if m.stage != nil {
			from = m.stage
		}
		if from == nil || from.keptAs(p[1].name) == "" {
			continue
		}
		values := selectNode([]any{column(from.keptAs(p[1].name))}, tableRef(s.readView(Read{Stage: from.ID}), ""))
		conditions = append(conditions, in(column(p[0].name), values))
	}
	if len(conditions) == 0 {
		return false
	}
	query := selectNode([]any{star()}, tableRef(str(n, "table_name"), ""))
	query["where_clause"] = and(conditions)
	become(n, subqueryRef(query, str(n, "alias"), []any{}))
	return true
}

// amongTiny is the condition that a column has a value of a table that each
// fragment reads by itself.
func (s *Stage) amongTiny(p pair, above map[*leaf]bool) node {
	m := p[1].leaf
	above[m] = true
	t := StageTable{View: s.tableView(m.table.Name), Table: m.table.Name, Files: m.files}
	s.Tables = append(s.Tables, t)
	values := selectNode([]any{column(p[1].name)}, tableRef(t.View, ""))
	filters := m.ownFilters()
	for _, q := range m.equals { // and that one's, of others
		if n := q[1].leaf; n.isTiny() && n.isSelective() && !above[n] {
			filters = append(filters, s.amongTiny(q, above))
		}
	}
	values["where_clause"] = and(filters)
	return in(column(p[0].name), values)
}

// isTiny tells a table that each fragment reads whole by itself.
func (l *leaf) isTiny() bool { return l.table != nil && l.inPlace() && l.use.mode == everything }

// reduces tells whether a leaf has few enough values to reduce another.
func (l *leaf) reduces(other *leaf) bool {
	return l.isSelective() && (l.isTiny() || l.bytes() <= min(reduceShare*other.unreduced(), reduceBytes))
}

// isEcho tells that the leaf of the second of two equal columns has all rows
// but those that others leave out, which reduce the first one's leaf as well.
func isEcho(p pair) bool {
	m := p[1].leaf
	if m.stage != nil || len(m.filters) > 0 {
		return false
	}
	for _, q := range m.equals {
		also := func(r pair) bool { return r[1] == q[1] }
		if q[1].leaf.reduces(m) && !slices.ContainsFunc(p[0].leaf.equals, also) {
			return false
		}
	}
	return true
}

// isSelective tells that a leaf has but some of the values that there are.
func (l *leaf) isSelective() bool { return l.stage != nil || len(l.filters) > 0 || l.reduction < 1 }

// reductions guesses what is left of each table when it is reduced, if the
// leaves are read as they are meant to be.
func (b *block) reductions() {
	for _, l := range b.leaves {
		l.reduction = 1
	}
	for range 3 { // along chains of joins
		for _, l := range b.leaves {
			l.probes = 0
			for _, p := range l.equals {
				m := p[1].leaf
				if l.table == nil || m.use.mode == driven || m.isCut() || m.unreduced() > l.unreduced() && !m.isTiny() || !m.reduces(l) || isEcho(p) {
					continue
				}
				if !m.isTiny() && m.bytes() > probeBytes {
					l.probes++
				}
				if l.use.mode == driven || l.isCut() {
					continue
				}
				share := 0.2 // of a stage's values nothing is known
				if m.table != nil {
					share = m.selectivity()
				}
				l.reduction = min(l.reduction, max(share, 0.01))
			}
		}
	}
}

// selectivity guesses which part of its rows a table's leaf leaves.
func (l *leaf) selectivity() float64 {
	share := l.reduction
	for _, f := range l.filters {
		share *= selectivity(f)
	}
	return share
}

// in is the condition that a value is among those of a query.
func in(value, query node) node {
	return node{"class": "SUBQUERY", "type": "SUBQUERY", "alias": "", "query_location": nowhere, "subquery_type": "ANY",
		"subquery": node{"node": query, "named_param_map": []any{}}, "child": value, "comparison_type": "COMPARE_EQUAL"}
}
