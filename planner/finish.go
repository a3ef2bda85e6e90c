package planner

// ending is what is done with a query's rows at last: DISTINCT, ORDER BY and
// LIMIT. Each fragment does it to its rows, and one fragment to what is left.
type ending struct {
	distinct any    // the DISTINCT modifier, or nil
	on       []any  // of DISTINCT ON, as columns of the wrapped query
	orders   []node // of ORDER BY, over columns of the wrapped query
	limit    node   // the LIMIT modifier, or nil
	hidden   []any  // expressions that the query must have as more columns
	local    *int64 // how many rows of a fragment matter; nil for all
}

// finish makes the stages of a block whose rows are its result but for the
// ending.
func (d *divider) finish(b *block, columns []Column) (*Stage, error) {
	modifiers := list(b.n, "modifiers")
	if len(modifiers) == 0 {
		return d.emit(wrap(b.n, len(columns), 0), columns), nil
	}
	if !isDivided(b.n) {
		return d.emit(wrap(b.n, len(columns), 0), columns), nil
	}
	e, err := readEnding(modifiers, list(b.n, "select_list"), columns)
	if err != nil {
		return nil, err
	}
	return d.end(b.n, e, columns)
}

// end runs a query's ending in two steps.
func (d *divider) end(query node, e *ending, columns []Column) (*Stage, error) {
	inner, _ := clone(query).(node)
	inner["modifiers"] = []any{}
	if len(e.hidden) > 0 {
		if kind(inner) != "SELECT_NODE" {
			return nil, opaque("ORDER BY an expression over a set operation")
		}
		inner["select_list"] = append(list(inner, "select_list"), e.hidden...)
	}
	first := wrap(inner, len(columns), len(e.hidden))
	first["modifiers"] = e.modifiers(e.local)
	more := append([]Column{}, columns...)
	for range e.hidden {
		more = append(more, Column{})
	}
	part := d.emit(first, more)
	items := make([]any, len(columns))
	for i := range columns {
		items[i] = column(stored(i))
	}
	final := selectNode(items, d.leafOver(part, use{}))
	final["modifiers"] = e.final()
	return d.emit(final, columns), nil
}

// leafOver reads a stage.
func (d *divider) leafOver(s *Stage, u use) node {
	n := tableRef(s.view(), "q")
	n[mark] = &leaf{node: n, stage: s, use: u}
	return n
}

// wrap names a query's columns by number, and those that follow them by another.
func wrap(query node, columns, hidden int) node {
	names := make([]any, 0, columns+hidden)
	for i := range columns {
		names = append(names, stored(i))
	}
	for i := range hidden {
		names = append(names, hiddenName(i))
	}
	return selectNode([]any{star()}, subqueryRef(query, "q", names))
}

func stored(i int) string     { return "#" + itoa(i) }
func hiddenName(i int) string { return "#o" + itoa(i) }

// readEnding reads a query's modifiers.
func readEnding(modifiers, items []any, columns []Column) (*ending, error) {
	e := &ending{}
	for _, v := range modifiers {
		m, _ := v.(node)
		switch kind(m) {
		case "DISTINCT_MODIFIER":
			e.distinct = m
			for _, t := range list(m, "distinct_on_targets") {
				c, err := e.column(t, items, columns)
				if err != nil {
					return nil, err
				}
				e.on = append(e.on, c)
			}
		case "ORDER_MODIFIER":
			if err := e.readOrders(m, items, columns); err != nil {
				return nil, err
			}
		case "LIMIT_MODIFIER":
			e.limit = m
			e.local = rowsNeeded(m)
		case "LIMIT_PERCENT_MODIFIER":
			e.limit = m
		default:
			return nil, opaque("modifier " + kind(m))
		}
	}
	if e.distinct != nil && len(e.on) == 0 && len(e.hidden) > 0 {
		return nil, opaque("DISTINCT ordered by what it does not select")
	}
	return e, nil
}

func (e *ending) readOrders(m node, items []any, columns []Column) error {
	for _, v := range list(m, "orders") {
		o, _ := v.(node)
		expr, _ := o["expression"].(node)
		if isOrderByAll(expr) {
			for i := range columns {
				e.orders = append(e.orders, orderBy(o, wrapped(stored(i))))
			}
			continue
		}
		if hasClass(expr, "STAR") {
			return opaque("ORDER BY COLUMNS")
		}
		c, err := e.column(expr, items, columns)
		if err != nil {
			return err
		}
		e.orders = append(e.orders, orderBy(o, c))
	}
	return nil
}

func orderBy(o, by node) node {
	return node{"type": o["type"], "null_order": o["null_order"], "expression": by}
}

// column is the column of the wrapped query that an expression of ORDER BY
// means: by number, by name, or as one more.
func (e *ending) column(v any, items []any, columns []Column) (node, error) {
	expr, _ := v.(node)
	if i, ok := integer(expr); ok {
		if i < 1 || int(i) > len(columns) {
			return nil, opaque("ORDER BY a number out of range")
		}
		return wrapped(stored(int(i - 1))), nil
	}
	if names := list(expr, "column_names"); kind(expr) == "COLUMN_REF" && len(names) == 1 {
		name, _ := names[0].(string)
		found := -1
		for i, c := range columns {
			if fold(c.Name) != fold(name) {
				continue
			}
			if found >= 0 {
				return nil, opaque("ORDER BY " + name + ", which two columns are called")
			}
			found = i
		}
		if found >= 0 {
			return wrapped(stored(found)), nil
		}
	}
	if len(items) == len(columns) {
		key := keyOf(expr)
		for i, item := range items {
			n, _ := item.(node)
			if kind(n) == kind(expr) && kind(n) != "STAR" && keyOf(n) == key {
				return wrapped(stored(i)), nil
			}
		}
	}
	name := hiddenName(len(e.hidden))
	e.hidden = append(e.hidden, as(expr, name))
	return wrapped(name), nil
}

// wrapped is a column of the wrapped query, which no alias of the answer's can
// hide.
func wrapped(name string) node { return column("q", name) }

// isOrderByAll tells the * that ORDER BY ALL is read as.
func isOrderByAll(n node) bool {
	return kind(n) == "STAR" && n["expr"] == nil && str(n, "relation_name") == "" &&
		len(list(n, "exclude_list"))+len(list(n, "replace_list"))+len(list(n, "qualified_exclude_list"))+len(list(n, "rename_list")) == 0
}

// rowsNeeded is LIMIT and OFFSET together, where they are numbers.
func rowsNeeded(m node) *int64 {
	limit, ok := integer(child(m, "limit"))
	if !ok {
		return nil
	}
	if offset := child(m, "offset"); offset != nil {
		o, ok := integer(offset)
		if !ok || o > 1<<40 || limit > 1<<40 {
			return nil
		}
		limit += o
	}
	return &limit
}

// modifiers are what a fragment does to its rows, of which only the first
// local matter. Order matters only if not all do, or if DISTINCT ON picks.
func (e *ending) modifiers(local *int64) []any {
	all := []any{}
	if e.distinct != nil {
		all = append(all, node{"type": "DISTINCT_MODIFIER", "distinct_on_targets": e.targets()})
	}
	if len(e.orders) > 0 && (local != nil || len(e.on) > 0) {
		all = append(all, e.order())
	}
	if local != nil {
		all = append(all, node{"type": "LIMIT_MODIFIER", "limit": whole(*local), "offset": nil})
	}
	return all
}

// final is what is done to the rows of all fragments.
func (e *ending) final() []any {
	all := []any{}
	if e.distinct != nil {
		all = append(all, node{"type": "DISTINCT_MODIFIER", "distinct_on_targets": e.targets()})
	}
	if len(e.orders) > 0 {
		all = append(all, e.order())
	}
	if e.limit != nil {
		all = append(all, e.limit)
	}
	return all
}

func (e *ending) targets() []any {
	if e.on == nil {
		return []any{}
	}
	return e.on
}

func (e *ending) order() node {
	orders := make([]any, len(e.orders))
	for i, o := range e.orders {
		orders[i] = o
	}
	return node{"type": "ORDER_MODIFIER", "orders": orders}
}
