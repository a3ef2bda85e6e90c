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
	for _, key := range []string{"left", "right"} {
		s, err := d.stageOf(child(n, key))
		if err != nil {
			return nil, err
		}
		if len(s.columns) != len(columns) {
			return nil, opaque("UNION BY NAME")
		}
		u := use{mode: near}
		if tp != "UNION" || n["setop_all"] != true {
			u = byAllColumns(s, columns)
		}
		items := make([]any, len(columns))
		for i := range columns {
			items[i] = column(s.stored(i))
		}
		n[key] = selectNode(items, d.leafOver(s, u))
	}
	modifiers := list(n, "modifiers")
	if len(modifiers) == 0 {
		return d.emit(wrap(n, len(columns), 0), columns), nil
	}
	e, err := readEnding(modifiers, nil, columns)
	if err != nil {
		return nil, err
	}
	return d.end(n, e, columns)
}

// keysMax is how many columns rows are dealt out by: some of those that must
// be equal do as well as all.
const keysMax = 8

// byAllColumns deals the rows of one side out by their values as those of the
// whole, whose types may be others.
func byAllColumns(s *Stage, columns []Column) use {
	u := use{mode: shared}
	for i, c := range columns[:min(len(columns), keysMax)] {
		u.keys = append(u.keys, s.stored(i))
		cast := ""
		if s.columns[i].Type != c.Type {
			cast = c.Type
		}
		u.cast = append(u.cast, cast)
	}
	return u
}
