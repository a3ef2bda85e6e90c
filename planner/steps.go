package planner

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
	part := a.d.emit(wrap(first, len(items), 0), names)
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
	leafOver(from).use = a.mergeUse(position)
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
		groups[i] = wrapped(groupName(i))
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
	for _, i := range a.inEverySet() {
		keys = append(keys, position[groupName(i)])
	}
	if len(keys) == 0 {
		return use{}
	}
	return use{mode: shared, keys: keys[:min(len(keys), keysMax)]}
}
