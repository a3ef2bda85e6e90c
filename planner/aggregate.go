package planner

import (
	"encoding/json"
	"slices"
)

// isAggregated tells a block that makes one row of many.
func (d *divider) isAggregated(b *block) bool {
	return len(list(b.n, "group_expressions")) > 0 || len(list(b.n, "group_sets")) > 0 || b.n["having"] != nil ||
		d.hasAggregate(b.n["select_list"]) || d.hasAggregate(b.n["modifiers"]) || d.hasAggregate(b.n["qualify"])
}

// groupByAll writes GROUP BY ALL out.
func (d *divider) groupByAll(b *block) error {
	if str(b.n, "aggregate_handling") == "STANDARD_HANDLING" {
		return nil
	}
	var groups, set []any
	for _, v := range list(b.n, "select_list") {
		item, _ := v.(node)
		if kind(item) == "STAR" || hasClass(item, "WINDOW") {
			return opaque("GROUP BY ALL with * or windows")
		}
		if !d.hasAggregate(item) {
			set = append(set, jsonNumber(len(groups)))
			groups = append(groups, as(item, ""))
		}
	}
	if len(groups) > 0 {
		b.n["group_expressions"], b.n["group_sets"] = groups, []any{set}
	}
	b.n["aggregate_handling"] = "STANDARD_HANDLING"
	return nil
}

// aggregation is a block with aggregates while it is divided.
type aggregation struct {
	d      *divider
	b      *block
	groups []node // what is grouped by, over the block's FROM
	sets   []any  // of indices into groups
	calls  map[string]*aggregateCall
	order  []*aggregateCall
}

// aggregateCall is one aggregate with its arguments, however often it occurs.
type aggregateCall struct {
	n        node
	split    parsedSplit
	ok       bool // it has a split
	at       int  // its first partial result
	distinct bool
}

// aggregate makes the stages of a block with aggregates.
func (d *divider) aggregate(b *block, s spread, columns []Column) (*Stage, error) {
	if err := d.expandAliases(b); err != nil {
		return nil, err
	}
	if hasClass([]any{b.n["select_list"], b.n["having"], b.n["qualify"]}, "STAR") {
		return nil, opaque("* or COLUMNS beside aggregates")
	}
	dedupGroups(b.n)
	a := &aggregation{d: d, b: b, sets: list(b.n, "group_sets"), calls: map[string]*aggregateCall{}}
	for _, v := range list(b.n, "group_expressions") {
		n, _ := v.(node)
		a.groups = append(a.groups, n)
	}
	if a.complete(s) && !hasClass([]any{b.n["select_list"], b.n["qualify"], b.n["modifiers"]}, "WINDOW") {
		return d.finish(b, columns)
	}
	for _, region := range []string{"select_list", "having", "qualify", "modifiers"} {
		a.collect(b.n[region])
	}
	if a.splits() {
		return a.inSteps(columns)
	}
	return a.regrouped(columns)
}

// dedupGroups leaves each expression that is grouped by once.
func dedupGroups(n node) {
	place, to := map[string]int{}, map[any]json.Number{}
	groups := []any{}
	for i, v := range list(n, "group_expressions") {
		g, _ := v.(node)
		key := keyOf(g)
		if _, ok := place[key]; !ok {
			place[key] = len(groups)
			groups = append(groups, g)
		}
		to[jsonNumber(i)] = jsonNumber(place[key])
	}
	for i, v := range list(n, "group_sets") {
		old, _ := v.([]any)
		set := []any{}
		for _, index := range old {
			if !slices.Contains(set, any(to[index])) {
				set = append(set, to[index])
			}
		}
		list(n, "group_sets")[i] = set
	}
	n["group_expressions"] = groups
}

// inEverySet are the places of the groups that all grouping sets have: rows of
// one group are equal in them, whatever the set.
func (a *aggregation) inEverySet() []int {
	var places []int
	for i := range a.groups {
		in := len(a.sets) > 0
		for _, v := range a.sets {
			set, _ := v.([]any)
			in = in && slices.Contains(set, any(jsonNumber(i)))
		}
		if in {
			places = append(places, i)
		}
	}
	return places
}

// complete tells that all rows of each group are in one fragment.
func (a *aggregation) complete(s spread) bool {
	if len(a.sets) != 1 {
		return false
	}
	for _, g := range a.groups {
		if from := a.b.sourceOf(g); from.leaf != nil && s.keys[from] {
			return true
		}
	}
	return false
}

// collect finds the aggregates in an expression.
func (a *aggregation) collect(v any) {
	switch v := v.(type) {
	case []any:
		for _, c := range v {
			a.collect(c)
		}
	case node:
		if a.d.isAggregate(v) {
			a.note(v)
			return
		}
		for k, c := range v {
			if k == "subquery" && str(v, "class") == "SUBQUERY" {
				continue
			}
			a.collect(c)
		}
	}
}

func (a *aggregation) note(n node) {
	key := keyOf(n)
	if a.calls[key] != nil {
		return
	}
	name := fold(str(n, "function_name"))
	c := &aggregateCall{n: n, distinct: n["distinct"] == true}
	c.split, c.ok = a.d.catalog.Splits[name]
	switch name { // of these, once is as good as many times
	case "min", "max", "bool_and", "bool_or", "bit_and", "bit_or", "any_value", "arg_min", "arg_max":
		c.distinct = false
	}
	c.ok = c.ok && len(list(n, "children")) == c.split.args && len(list(child(n, "order_bys"), "orders")) == 0 && n["export_state"] != true
	if name == "avg" || name == "mean" {
		c.ok = c.ok && a.isNumber(list(n, "children")[0])
	}
	a.calls[key] = c
}

// isNumber tells an expression that is a number for sure: the average of
// other types is none of sums and counts.
func (a *aggregation) isNumber(v any) bool {
	n, _ := v.(node)
	switch str(n, "class") {
	case "COLUMN_REF":
		from := a.b.sourceOf(n)
		return from.leaf != nil && isNumeric(from.leaf.types[from.name])
	case "CAST":
		return isNumeric(str(child(n, "cast_type"), "id"))
	case "CONSTANT":
		return isNumeric(str(child(child(n, "value"), "type"), "id"))
	case "FUNCTION":
		switch fold(str(n, "function_name")) {
		case "length", "strlen", "len", "abs", "year", "month", "day", "hour", "minute":
			return true
		case "+", "-", "*", "/", "%":
			for _, c := range list(n, "children") {
				if !a.isNumber(c) {
					return false
				}
			}
			return true
		}
	case "CASE":
		for _, c := range list(n, "case_checks") {
			check, _ := c.(node)
			if !a.isNumber(check["then_expr"]) {
				return false
			}
		}
		otherwise, _ := n["else_expr"].(node)
		return kind(otherwise) == "VALUE_CONSTANT" && child(otherwise, "value")["is_null"] == true || a.isNumber(otherwise)
	}
	return false
}

func isNumeric(t string) bool {
	switch t {
	case "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "FLOAT", "DOUBLE", "DECIMAL":
		return true
	}
	return len(t) > 8 && t[:8] == "DECIMAL("
}

// splits tells whether all aggregates can be computed in steps. They are put
// into a fixed order for that.
func (a *aggregation) splits() bool {
	all := true
	for _, key := range sortedKeys(a.calls) {
		c := a.calls[key]
		all = all && c.ok
		a.order = append(a.order, c)
	}
	return all
}

// regrouped sends the rows themselves to where their groups are put together.
func (a *aggregation) regrouped(columns []Column) (*Stage, error) {
	c, err := a.d.cut(a.b)
	if err != nil {
		return nil, err
	}
	var keys []node
	for _, i := range a.inEverySet() {
		g, _ := list(c.upper, "group_expressions")[i].(node)
		keys = append(keys, g)
	}
	c.deal(keys)
	if hasClass([]any{c.upper["select_list"], c.upper["qualify"], c.upper["modifiers"]}, "WINDOW") {
		c.leaf.use = use{}
	}
	return a.d.finish(&block{n: c.upper}, columns)
}
