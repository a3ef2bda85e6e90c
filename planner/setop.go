package planner

// setOperation makes the stages of UNION, INTERSECT and EXCEPT. Each side has
// stages of its own. UNION ALL leaves rows where they are; the others deal
// the rows out by all their columns, so that equal ones meet.
func (d *divider) setOperation(n node, columns []Column) (*Stage, error) {
	tp := str(n, "setop_type")
	switch tp {
	case "UNION", "INTERSECT", "EXCEPT":
	default:
		return nil, opaque("set operation " + tp)
	}
	left, err := d.side(child(n, "left"), columns)
	if err != nil {
		return nil, err
	}
	right, err := d.side(child(n, "right"), columns)
	if err != nil {
		return nil, err
	}
	u := use{mode: shared}
	for i := range columns {
		u.keys = append(u.keys, stored(i))
	}
	for i, s := range []*Stage{left, right} {
		items := make([]any, len(columns))
		for i := range columns {
			items[i] = column(stored(i))
		}
		n[[]string{"left", "right"}[i]] = selectNode(items, d.leafOver(s, u))
	}
	modifiers := list(n, "modifiers")
	if len(modifiers) == 0 {
		return d.emit(wrap(n, len(columns), 0), columns)
	}
	e, err := readEnding(modifiers, nil, columns)
	if err != nil {
		return nil, err
	}
	return d.end(n, e, columns)
}

// side makes the stages of one side, with the types that the whole has.
func (d *divider) side(n node, columns []Column) (*Stage, error) {
	s, err := d.stageOf(n)
	if err != nil {
		return nil, err
	}
	if len(s.columns) != len(columns) {
		return nil, opaque("UNION BY NAME")
	}
	items := make([]any, len(columns))
	cast := false
	for i, c := range columns {
		items[i] = column(s.stored(i))
		if s.columns[i].Type != c.Type {
			cast = true
		}
	}
	if !cast {
		return s, nil
	}
	return nil, opaque("a set operation over different types")
}
