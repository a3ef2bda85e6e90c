package planner

import "maps"

// sharedTable is a common table expression that several places read: it runs
// once, as a stage.
type sharedTable struct {
	query   node
	aliases []any
	stage   *Stage
}

// cteIndex is the field of a reference to a shared expression: its index.
const cteIndex = "\x00cte"

// inlineCTEs puts each common table expression that is named once in its
// place, and keeps the others to be run once.
func (d *divider) inlineCTEs(v any) error {
	switch v := v.(type) {
	case []any:
		for _, c := range v {
			if err := d.inlineCTEs(c); err != nil {
				return err
			}
		}
	case node:
		switch kind(v) {
		case "RECURSIVE_CTE_NODE", "CTE_NODE":
			return opaque("a recursive query")
		}
		if isQuery(v) {
			if err := d.takeCTEs(v); err != nil {
				return err
			}
		}
		for _, c := range v {
			if err := d.inlineCTEs(c); err != nil {
				return err
			}
		}
	}
	return nil
}

// cte is a common table expression and the places that name it.
type cte struct {
	query   node
	aliases []any
	places  []node
}

// takeCTEs takes the WITH list off a query.
func (d *divider) takeCTEs(n node) error {
	entries := list(child(n, "cte_map"), "map")
	if len(entries) == 0 {
		return nil
	}
	n["cte_map"] = node{"map": []any{}}
	seen := map[string]*cte{}
	var own []*cte
	for _, v := range entries {
		e, _ := v.(node)
		value := child(e, "value")
		query := child(child(value, "query"), "node")
		if query == nil || len(list(value, "key_targets")) > 0 || kind(query) == "RECURSIVE_CTE_NODE" {
			return opaque("a recursive query")
		}
		collectPlaces(query, seen)
		c := &cte{query: query, aliases: list(value, "aliases")}
		seen[fold(str(e, "key"))] = c
		own = append(own, c)
	}
	collectPlaces(n, seen)
	for _, c := range own {
		if err := d.settle(c); err != nil {
			return err
		}
	}
	return nil
}

// collectPlaces finds the references to the expressions in sight. Those that
// an inner WITH hides are not theirs.
func collectPlaces(v any, seen map[string]*cte) {
	switch v := v.(type) {
	case []any:
		for _, c := range v {
			collectPlaces(c, seen)
		}
	case node:
		if kind(v) == "BASE_TABLE" {
			name := fold(str(v, "table_name"))
			if e := seen[name]; e != nil && str(v, "schema_name") == cteSchema && v[cteIndex] == nil {
				e.places = append(e.places, v)
				v[cteIndex] = -1
			}
			return
		}
		if entries := list(child(v, "cte_map"), "map"); isQuery(v) && len(entries) > 0 {
			inner := maps.Clone(seen)
			for _, c := range entries {
				e, _ := c.(node)
				collectPlaces(e["value"], inner)
				delete(inner, fold(str(e, "key")))
			}
			seen = inner
		}
		for key, c := range v {
			if key != "cte_map" {
				collectPlaces(c, seen)
			}
		}
	}
}

// settle puts an expression where it is named once, or keeps it to be shared.
func (d *divider) settle(e *cte) error {
	switch len(e.places) {
	case 0:
	case 1:
		p := e.places[0]
		alias, names := str(p, "alias"), list(p, "column_name_alias")
		if alias == "" {
			alias = str(p, "table_name")
		}
		if len(names) < len(e.aliases) {
			names = append(append([]any{}, names...), e.aliases[len(names):]...)
		}
		sample := p["sample"]
		clear(p)
		for k, v := range subqueryRef(e.query, alias, names) {
			p[k] = v
		}
		p["sample"] = sample
	default:
		d.shared = append(d.shared, &sharedTable{query: e.query, aliases: e.aliases})
		for _, p := range e.places {
			p[cteIndex] = len(d.shared) - 1
		}
		return d.inlineCTEs(e.query)
	}
	return nil
}

// sharedCTE reads the stage of a shared expression, which is made when it is
// first needed.
func (d *divider) sharedCTE(b *block, n node, alias string, nullable bool) (*relation, error) {
	i, ok := n[cteIndex].(int)
	if !ok || i < 0 {
		return nil, opaque("a common table expression")
	}
	s := d.shared[i]
	if s.stage == nil {
		stage, err := d.stageOf(s.query)
		if err != nil {
			return nil, err
		}
		s.stage = stage
	}
	names := list(n, "column_name_alias")
	if len(names) < len(s.aliases) {
		names = append(append([]any{}, names...), s.aliases[len(names):]...)
	}
	if str(n, "alias") == "" {
		n["alias"] = str(n, "table_name")
	}
	n["column_name_alias"] = names
	return d.staged(b, n, s.stage, alias, nullable), nil
}
