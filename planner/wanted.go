package planner

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
		for _, v := range list(n, "modifiers") {
			m, _ := v.(node)
			for _, o := range list(m, "orders") {
				order, _ := o.(node)
				if e := child(order, "expression"); hasClass(e, "STAR") && !isOrderByAll(e) {
					w.everyColumn(n["from_table"])
				}
			}
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
