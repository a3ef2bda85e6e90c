package planner

import (
	"context"
	"strings"
)

// aggregateSplit says how an aggregate is computed in steps: partial over the rows of
// a fragment, merge over partial results, and final over the merged ones. It
// is SQL: x and y are the aggregate's arguments, p0, p1, … the partial
// results, m0, m1, … the merged ones.
type aggregateSplit struct {
	partial, merge []string
	final          string
}

func same(name string) aggregateSplit {
	return aggregateSplit{[]string{name + "(x)"}, []string{name + "(p0)"}, "m0"}
}

// moments are count, mean and sum of squared deviations; they add up without
// the loss of digits that sums of squares have.
func moments(final string) aggregateSplit {
	return aggregateSplit{
		[]string{"struct_pack(n := CAST(count(x) AS DOUBLE), m := avg(x), s := var_pop(x) * count(x))"},
		[]string{`list_reduce(list(p0) FILTER (WHERE p0.n > 0), lambda a, b: struct_pack(n := a.n + b.n,
			m := a.m + (b.m - a.m) * (b.n / (a.n + b.n)), s := a.s + b.s + (b.m - a.m) * (b.m - a.m) * a.n * (b.n / (a.n + b.n))))`},
		final,
	}
}

// comoments are the same of pairs (x, y), y being the independent one.
func comoments(final string) aggregateSplit {
	return aggregateSplit{
		[]string{`struct_pack(n := CAST(regr_count(x, y) AS DOUBLE), mx := regr_avgx(x, y), my := regr_avgy(x, y),
			sxx := regr_sxx(x, y), syy := regr_syy(x, y), sxy := regr_sxy(x, y))`},
		[]string{`list_reduce(list(p0) FILTER (WHERE p0.n > 0), lambda a, b: struct_pack(n := a.n + b.n,
			mx := a.mx + (b.mx - a.mx) * (b.n / (a.n + b.n)), my := a.my + (b.my - a.my) * (b.n / (a.n + b.n)),
			sxx := a.sxx + b.sxx + (b.mx - a.mx) * (b.mx - a.mx) * a.n * (b.n / (a.n + b.n)),
			syy := a.syy + b.syy + (b.my - a.my) * (b.my - a.my) * a.n * (b.n / (a.n + b.n)),
			sxy := a.sxy + b.sxy + (b.mx - a.mx) * (b.my - a.my) * a.n * (b.n / (a.n + b.n))))`},
		final,
	}
}

func counting(call, tp string) aggregateSplit {
	return aggregateSplit{[]string{call}, []string{"sum(p0)"}, "CAST(coalesce(m0, 0) AS " + tp + ")"}
}

func best(by, least string) aggregateSplit {
	return aggregateSplit{[]string{by + "(x, y)", least + "(y) FILTER (WHERE x IS NOT NULL)"}, []string{by + "(p0, p1)", least + "(p1)"}, "m0"}
}

// aggregateSplits has every aggregate that is computed in steps. The others
// are computed where all rows of a group are.
func aggregateSplits() map[string]aggregateSplit {
	return map[string]aggregateSplit{
		"count_star": counting("count_star()", "BIGINT"), "count": counting("count(x)", "BIGINT"),
		"count_if": {[]string{"count_if(x)"}, []string{"sum(p0)"}, "m0"}, "countif": {[]string{"count_if(x)"}, []string{"sum(p0)"}, "m0"},
		"sum": same("sum"), "fsum": same("fsum"), "sumkahan": same("fsum"), "kahan_sum": same("fsum"), "product": same("product"),
		"min": same("min"), "max": same("max"), "bool_and": same("bool_and"), "bool_or": same("bool_or"),
		"bit_and": same("bit_and"), "bit_or": same("bit_or"), "bit_xor": same("bit_xor"), "any_value": same("any_value"),
		"avg":     {[]string{"sum(x)", "count(x)"}, []string{"sum(p0)", "sum(p1)"}, "CAST(m0 AS DOUBLE) / m1"},
		"mean":    {[]string{"sum(x)", "count(x)"}, []string{"sum(p0)", "sum(p1)"}, "CAST(m0 AS DOUBLE) / m1"},
		"arg_min": best("arg_min", "min"), "argmin": best("arg_min", "min"), "min_by": best("arg_min", "min"),
		"arg_max": best("arg_max", "max"), "argmax": best("arg_max", "max"), "max_by": best("arg_max", "max"),
		"var_pop": moments("m0.s / m0.n"), "stddev_pop": moments("sqrt(m0.s / m0.n)"),
		"var_samp": moments(aboveOne("m0.s / (m0.n - 1)")), "variance": moments(aboveOne("m0.s / (m0.n - 1)")),
		"stddev_samp": moments(aboveOne("sqrt(m0.s / (m0.n - 1))")), "stddev": moments(aboveOne("sqrt(m0.s / (m0.n - 1))")),
		"covar_pop": comoments("m0.sxy / m0.n"), "covar_samp": comoments(aboveOne("m0.sxy / (m0.n - 1)")),
		"corr":      comoments("m0.sxy / sqrt(m0.sxx * m0.syy)"),
		"regr_avgx": comoments("m0.mx"), "regr_avgy": comoments("m0.my"),
		"regr_sxx": comoments("m0.sxx"), "regr_syy": comoments("m0.syy"), "regr_sxy": comoments("m0.sxy"),
		"regr_count": counting("regr_count(x, y)", "UINTEGER"), "regr_slope": comoments("m0.sxy / m0.sxx"),
	}
}

func aboveOne(e string) string { return "CASE WHEN m0.n > 1 THEN " + e + " END" }

// Splits is how aggregates are computed in steps, read by DuckDB.
type Splits map[string]parsedSplit

type parsedSplit struct {
	args           int // how many arguments the aggregate takes
	partial, merge []node
	final          node
}

// ReadSplits has DuckDB read the rules. They do not change.
func ReadSplits(ctx context.Context, e Engine) (Splits, error) {
	parsed := Splits{}
	for name, s := range aggregateSplits() {
		all := append(append(append([]string{}, s.partial...), s.merge...), s.final)
		tree, err := serialize(ctx, e, "SELECT "+strings.Join(all, ", "))
		if err != nil {
			return nil, err
		}
		var exprs []node
		for _, v := range list(child(tree, "node"), "select_list") {
			n, _ := v.(node)
			exprs = append(exprs, n)
		}
		p := parsedSplit{partial: exprs[:len(s.partial)], merge: exprs[len(s.partial) : 2*len(s.partial)], final: exprs[2*len(s.partial)]}
		for _, expr := range p.partial {
			references(expr, func(ref node) {
				p.args = max(p.args, map[any]int{"x": 1, "y": 2}[list(ref, "column_names")[0]])
			})
		}
		parsed[name] = p
	}
	return parsed, nil
}

// fill puts expressions in the place of a rule's names. Names within a
// subquery are its own.
func fill(rule node, values map[string]node) node {
	holder := node{"": clone(rule)}
	fillIn(holder, values)
	n, _ := holder[""].(node)
	return n
}

func fillIn(v any, values map[string]node) {
	switch v := v.(type) {
	case []any:
		for i, c := range v {
			v[i] = filled(c, values)
		}
	case node:
		for k, c := range v {
			if k != "subquery" {
				v[k] = filled(c, values)
			}
		}
	}
}

func filled(c any, values map[string]node) any {
	n, ok := c.(node)
	if !ok || kind(n) != "COLUMN_REF" {
		fillIn(c, values)
		return c
	}
	names := list(n, "column_names")
	name, _ := names[0].(string)
	value, ok := values[name]
	switch {
	case !ok:
		return c
	case len(names) == 1:
		return as(value, str(n, "alias"))
	case kind(value) == "COLUMN_REF": // a field of it
		path := append(append([]any{}, list(value, "column_names")...), names[1:]...)
		f, _ := clone(n).(node)
		f["column_names"] = path
		return f
	}
	field, _ := names[1].(string)
	return structField(value, field, str(n, "alias"))
}

// structField is a field of a STRUCT.
func structField(of node, name, alias string) node {
	return node{"class": "OPERATOR", "type": "STRUCT_EXTRACT", "alias": alias, "query_location": nowhere, "children": []any{clone(of), text(name)}}
}
