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

// inSteps makes two stages: partial results of each fragment by group, and
// the merged ones. Where an aggregate is over distinct values, they are
// grouped by in the first stage, and the second still sees each of them.
func (a *aggregation) inSteps(columns []Column) (*Stage, error) {
	first := selectNode(nil, clone(a.b.n["from_table"]).(node))
	first["where_clause"] = a.b.n["where_clause"]
	var items, groups []any
	for i, g := range a.groups {
		items = append(items, as(g, groupName(i)))
		groups = append(groups, column(groupName(i)))
	}
	distinct, grouped := map[string]int{}, map[string]bool{}
	for _, g := range a.groups {
		grouped[keyOf(g)] = true
	}
	for _, c := range a.order {
		if c.distinct {
			arg := a.distinctArg(c)
			key := keyOf(arg)
			if _, ok := distinct[key]; !ok {
				distinct[key] = len(distinct)
				items = append(items, as(arg, distinctName(distinct[key])))
				if !grouped[key] {
					groups = append(groups, column(distinctName(distinct[key])))
				}
			}
			c.at = distinct[key]
		}
	}
	partials := 0
	for _, c := range a.order {
		if c.distinct {
			continue
		}
		c.at = partials
		for _, p := range c.split.partial {
			items = append(items, as(a.partial(p, c.n), partialName(partials)))
			partials++
		}
	}
	if len(items) == 0 {
		return nil, opaque("no group and no aggregate")
	}
	first["select_list"] = items
	a.groupBy(first, groups, a.sets)
	names := make([]Column, len(items))
	part, err := a.d.emit(wrap(first, len(items), 0), names)
	if err != nil {
		return nil, err
	}
	part.shrink(len(groups) > 0)
	return a.merge(part, items, columns)
}

// groupBy groups a SELECT by expressions: by all of them, unless there is
// nothing to group by at all.
func (a *aggregation) groupBy(n node, groups, sets []any) {
	if len(groups) == 0 && len(sets) == 0 {
		return
	}
	all := make([]any, len(groups))
	for i := range groups {
		all[i] = jsonNumber(i)
	}
	n["group_expressions"], n["group_sets"] = orEmpty(groups), []any{all}
}

func orEmpty(l []any) []any {
	if l == nil {
		return []any{}
	}
	return l
}

func groupName(i int) string    { return "#g" + itoa(i) }
func distinctName(i int) string { return "#d" + itoa(i) }
func partialName(i int) string  { return "#p" + itoa(i) }

// distinctArg is what an aggregate over distinct values is over; where its
// filter leaves a row out, NULL, which no such aggregate heeds.
func (a *aggregation) distinctArg(c *aggregateCall) node {
	arg, _ := clone(list(c.n, "children")[0]).(node)
	arg["alias"] = ""
	filter := child(c.n, "filter")
	if filter == nil {
		return arg
	}
	return node{"class": "CASE", "type": "CASE_EXPR", "alias": "", "query_location": nowhere,
		"case_checks": []any{node{"when_expr": clone(filter), "then_expr": arg}}, "else_expr": null()}
}

// partial is one of a call's partial results. The call's filter holds for all
// aggregates in it.
func (a *aggregation) partial(rule, call node) node {
	values := map[string]node{}
	for i, name := range []string{"x", "y"} {
		if args := list(call, "children"); i < len(args) {
			values[name], _ = args[i].(node)
		}
	}
	n := fill(rule, values)
	filter := child(call, "filter")
	if filter == nil {
		return n
	}
	a.filter(n, rule, filter)
	return n
}

// filter adds a call's filter to the aggregates that the rule has; those
// inside the arguments are the user's and none.
func (a *aggregation) filter(n, rule node, filter node) {
	if a.d.isAggregate(rule) {
		conditions := append(conjunctsOf(n["filter"]), conjunctsOf(clone(filter))...)
		n["filter"] = and(conditions)
		return
	}
	for i, v := range list(rule, "children") {
		r, _ := v.(node)
		c, _ := list(n, "children")[i].(node)
		a.filter(c, r, filter)
	}
	if r := child(rule, "child"); r != nil {
		a.filter(child(n, "child"), r, filter)
	}
}

// merge makes the stage that puts partial results together.
func (a *aggregation) merge(part *Stage, items []any, columns []Column) (*Stage, error) {
	named := make([]any, len(items))
	position := map[string]string{}
	for i, v := range items {
		item, _ := v.(node)
		named[i] = as(column(stored(i)), str(item, "alias"))
		position[str(item, "alias")] = stored(i)
	}
	from := selectNode(named, a.d.leafOver(part, use{}))
	leafOf(from["from_table"].(node)).use = a.mergeUse(position)
	n := selectNode(nil, subqueryRef(from, "q", []any{}))
	post := &rewriter{a: a}
	n["select_list"] = post.list(list(a.b.n, "select_list"))
	n["having"] = post.expr(a.b.n["having"])
	n["qualify"] = post.expr(a.b.n["qualify"])
	n["modifiers"] = post.modifiers(list(a.b.n, "modifiers"))
	if post.err != nil {
		return nil, post.err
	}
	groups := make([]any, len(a.groups))
	for i := range a.groups {
		groups[i] = column(groupName(i))
	}
	n["group_expressions"], n["group_sets"] = groups, orEmpty(a.sets)
	if hasClass([]any{n["select_list"], n["qualify"], n["modifiers"]}, "WINDOW") {
		leafOver(from).use = use{}
	}
	return a.d.finish(&block{n: n}, columns)
}

func leafOver(query node) *leaf { return leafOf(query["from_table"].(node)) }

// mergeUse deals partial results out by group, if each result is of groups
// that are by the same columns.
func (a *aggregation) mergeUse(position map[string]string) use {
	var keys []string
	for i := range a.groups {
		in := true
		for _, v := range a.sets {
			set, _ := v.([]any)
			in = in && contains(set, i)
		}
		if in {
			keys = append(keys, position[groupName(i)])
		}
	}
	if len(keys) == 0 {
		return use{}
	}
	return use{mode: shared, keys: keys}
}

func contains(set []any, i int) bool {
	for _, v := range set {
		if v == any(jsonNumber(i)) {
			return true
		}
	}
	return false
}

// regrouped sends the rows themselves to where their groups are put together.
func (a *aggregation) regrouped(columns []Column) (*Stage, error) {
	c, err := a.d.cut(a.b)
	if err != nil {
		return nil, err
	}
	var keys []node
	for i := range a.groups {
		in := len(a.sets) > 0
		for _, v := range a.sets {
			set, _ := v.([]any)
			in = in && contains(set, i)
		}
		if in {
			g, _ := list(c.upper, "group_expressions")[i].(node)
			keys = append(keys, g)
		}
	}
	if err := c.deal(keys); err != nil {
		return nil, err
	}
	if hasClass([]any{c.upper["select_list"], c.upper["qualify"], c.upper["modifiers"]}, "WINDOW") {
		c.leaf.use = use{}
	}
	return a.d.finish(&block{n: c.upper}, columns)
}

// rewriter writes expressions over a block's FROM as expressions over its
// groups and partial results.
type rewriter struct {
	a   *aggregation
	err error
}

// modifiers leaves ORDER BY ALL as it is.
func (r *rewriter) modifiers(l []any) []any {
	out := make([]any, len(l))
	for i, v := range l {
		m, _ := v.(node)
		orders := list(m, "orders")
		if len(orders) == 1 && kind(child(orders[0].(node), "expression")) == "STAR" {
			out[i] = v
			continue
		}
		out[i] = r.expr(v)
	}
	return out
}

func (r *rewriter) list(l []any) []any {
	out := make([]any, len(l))
	for i, v := range l {
		out[i] = r.expr(v)
	}
	return out
}

func (r *rewriter) expr(v any) any {
	switch v := v.(type) {
	case []any:
		return r.list(v)
	case node:
		return r.node(v)
	}
	return v
}

func (r *rewriter) node(n node) any {
	if str(n, "class") != "" {
		if e := r.known(n); e != nil {
			return as(e, str(n, "alias"))
		}
		switch str(n, "class") {
		case "COLUMN_REF", "STAR", "LAMBDA":
			r.fail("%s beside aggregates", kind(n))
			return n
		case "SUBQUERY":
			if child(n, "subquery")[mark] != nil {
				r.fail("a correlated subquery beside aggregates")
				return n
			}
		}
	}
	out := make(node, len(n))
	for k, c := range n {
		if k == "subquery" && str(n, "class") == "SUBQUERY" {
			out[k] = clone(c)
			continue
		}
		out[k] = r.expr(c)
	}
	return out
}

func (r *rewriter) fail(format string, args ...any) {
	if r.err == nil {
		r.err = opaque(sprintf(format, args...))
	}
}

// known is the merged form of a group or an aggregate.
func (r *rewriter) known(n node) node {
	key := keyOf(n)
	for i, g := range r.a.groups {
		if keyOf(g) == key {
			return column(groupName(i))
		}
	}
	c := r.a.calls[key]
	if c == nil {
		return nil
	}
	if c.distinct {
		over, _ := clone(c.n).(node)
		over["children"], over["filter"] = []any{column(distinctName(c.at))}, nil
		return over
	}
	partials, merged := map[string]node{}, map[string]node{}
	for i := range c.split.partial {
		partials["p"+itoa(i)] = column(partialName(c.at + i))
	}
	for i, m := range c.split.merge {
		merged["m"+itoa(i)] = fill(m, partials)
	}
	return fill(c.split.final, merged)
}
