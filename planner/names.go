package planner

// A block is one SELECT with the SELECTs that run inside it. Its names are
// resolved as DuckDB does, as far as dividing needs it: where that is not sure
// the block is opaque, and is not divided.

// opaque tells that the planner does not see through a statement.
type opaque string

func (o opaque) Error() string { return string(o) }

// inOrder tells what depends on the order in which a table's rows are read:
// only one worker that reads all files keeps it.
type inOrder string

func (o inOrder) Error() string { return string(o) }

// source is a stored column: of a table, or of the rows of an earlier stage.
type source struct {
	leaf *leaf
	name string // as the leaf has it
}

// attribute is a column of a relation.
type attribute struct {
	name string // folded; empty where DuckDB makes one up
	from source // where the column is a stored one, unchanged
}

// relation is one entry of a FROM.
type relation struct {
	alias  string // folded
	fields []attribute
	open   bool // it may have columns that are not known
	hidden bool // only the condition of its SEMI or ANTI JOIN sees it
}

// namespace is what a block's expressions see.
type namespace struct {
	relations []*relation
	using     map[string]source // of USING columns: where the value is taken from
	aliases   map[string][]node // select items by alias
	outer     *namespace

	inCondition bool // while names of a join's condition are looked up
}

// reference is what a column's name means.
type reference struct {
	field    *attribute
	relation *relation  // that has the field; nil for a USING column
	rest     []any      // of the name: fields of a STRUCT
	table    *relation  // the name is that of a whole row
	within   *namespace // where it was found
	unknown  bool       // it may mean something else
}

func (s *namespace) lookup(names []any) (r reference, ok bool) {
	for in := s; in != nil; in = in.outer {
		if r, ok := in.own(names); ok || r.unknown {
			r.within = in
			return r, ok
		}
	}
	return reference{}, false
}

// own looks a name up among the block's own relations.
func (s *namespace) own(names []any) (reference, bool) {
	first, _ := names[0].(string)
	first = fold(first)
	if len(names) > 1 {
		second, _ := names[1].(string)
		for _, r := range s.relations {
			if r.alias != first {
				continue
			}
			if f := r.find(fold(second)); f != nil {
				return reference{field: f, relation: r, rest: names[2:]}, true
			}
			if r.open {
				return reference{unknown: true}, false
			}
		}
	}
	if from, ok := s.using[first]; ok {
		return reference{field: &attribute{name: first, from: from}, rest: names[1:]}, from.leaf != nil
	}
	var found *attribute
	var of *relation
	open := false
	for _, hidden := range []bool{false, true} {
		for _, r := range s.relations {
			if r.hidden != hidden || hidden && (found != nil || !s.inCondition) {
				continue
			}
			open = open || r.open
			if f := r.find(first); f != nil {
				if found != nil {
					return reference{unknown: true}, false // ambiguous
				}
				found, of = f, r
			}
		}
	}
	switch {
	case open:
		return reference{unknown: true}, false
	case found != nil:
		return reference{field: found, relation: of, rest: names[1:]}, true
	}
	for _, r := range s.relations {
		if r.alias == first {
			return reference{table: r, rest: names[1:]}, true
		}
	}
	return reference{}, false
}

func (r *relation) find(name string) *attribute {
	for i := range r.fields {
		if r.fields[i].name == name && name != "" {
			return &r.fields[i]
		}
	}
	return nil
}

// references calls visit for each column that an expression names. It enters
// no subquery, and leaves the parameters of lambdas out.
func references(v any, visit func(ref node)) {
	walkRefs(v, nil, visit)
}

func walkRefs(v any, params []string, visit func(node)) {
	switch v := v.(type) {
	case []any:
		for _, c := range v {
			walkRefs(c, params, visit)
		}
	case node:
		if str(v, "class") == "LAMBDA" {
			// x -> … may also be JSON's arrow, whose left side is a column: what
			// looks like a parameter is then reported as long as it is outside.
			names := lambdaParams(v["lhs"])
			if len(names) == 0 {
				walkRefs(v["lhs"], params, visit)
			}
			walkRefs(v["expr"], append(params[:len(params):len(params)], names...), visit)
			return
		}
		if kind(v) == "COLUMN_REF" {
			if !isParam(v, params) {
				visit(v)
			}
			return
		}
		for k, c := range v {
			if k == "subquery" && str(v, "class") == "SUBQUERY" {
				continue
			}
			walkRefs(c, params, visit)
		}
	}
}

func lambdaParams(lhs any) []string {
	var names []string
	n, _ := lhs.(node)
	all := []any{n}
	if str(n, "function_name") == "row" {
		all = list(n, "children")
	}
	for _, p := range all {
		c, _ := p.(node)
		if kind(c) != "COLUMN_REF" || len(list(c, "column_names")) != 1 {
			return nil
		}
		name, _ := list(c, "column_names")[0].(string)
		names = append(names, fold(name))
	}
	return names
}

func isParam(ref node, params []string) bool {
	name, _ := list(ref, "column_names")[0].(string)
	for _, p := range params {
		if p == fold(name) {
			return true
		}
	}
	return false
}

// subqueries calls visit for each subquery in an expression, outermost first.
func subqueries(v any, visit func(n node)) {
	switch v := v.(type) {
	case []any:
		for _, c := range v {
			subqueries(c, visit)
		}
	case node:
		if str(v, "class") == "SUBQUERY" {
			visit(v)
			subqueries(v["child"], visit)
			return
		}
		for _, c := range v {
			subqueries(c, visit)
		}
	}
}

func hasClass(v any, classes ...string) bool {
	found := false
	walkExpr(v, func(n node) {
		for _, c := range classes {
			found = found || str(n, "class") == c
		}
	})
	return found
}

// walkExpr calls visit for every object of an expression, and enters no
// subquery.
func walkExpr(v any, visit func(n node)) {
	switch v := v.(type) {
	case []any:
		for _, c := range v {
			walkExpr(c, visit)
		}
	case node:
		visit(v)
		for k, c := range v {
			if k == "subquery" && str(v, "class") == "SUBQUERY" {
				continue
			}
			walkExpr(c, visit)
		}
	}
}
