package planner

import (
	"encoding/json"
	"slices"
)

func jsonNumber(i int) json.Number { return json.Number(itoa(i)) }

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// expandAliases puts the expressions of select items in the place of their
// aliases, and of ordinals in GROUP BY. A name that is a column stays one.
func (d *divider) expandAliases(b *block) error {
	x := &aliases{b: b}
	items := list(b.n, "select_list")
	for i, v := range list(b.n, "group_expressions") {
		g, _ := v.(node)
		if at, ok := integer(g); ok {
			if at < 1 || int(at) > len(items) || hasClass(items, "STAR") {
				return opaque("GROUP BY a number that is no item")
			}
			g, _ = items[at-1].(node)
		}
		list(b.n, "group_expressions")[i] = x.expand(as(g, ""), 0)
	}
	for i, v := range items {
		items[i] = x.expand(v, 0)
	}
	for _, region := range []string{"where_clause", "having", "qualify"} {
		x.both = region != "where_clause"
		b.n[region] = x.expand(b.n[region], 0)
	}
	x.both = false
	defer b.qualify()
	for _, v := range list(b.n, "modifiers") {
		m, _ := v.(node)
		for _, o := range list(m, "orders") {
			order, _ := o.(node)
			e, _ := order["expression"].(node)
			if kind(e) != "COLUMN_REF" { // a bare name is one of the output's
				order["expression"] = x.expand(e, 0)
				continue
			}
			if name, ok := x.alias(e); ok && x.isColumn(e) && len(b.names.aliases[name]) > 0 {
				order["expression"] = as(b.names.aliases[name][0], "")
			} else {
				order["expression"] = x.expand(e, 0)
			}
		}
	}
	return x.err
}

// qualify writes the same column the same way wherever it is named.
func (b *block) qualify() {
	aliases := map[string]int{}
	for _, r := range b.names.relations {
		aliases[r.alias]++
	}
	for _, region := range regions {
		references(b.n[region], func(ref node) { b.qualifyOne(ref, aliases) })
	}
}

func (b *block) qualifyOne(ref node, aliases map[string]int) {
	r, ok := b.names.lookup(list(ref, "column_names"))
	if !ok || r.field == nil || r.within != b.names || r.relation == nil || r.relation.alias == "" || aliases[r.relation.alias] != 1 {
		return
	}
	ref["column_names"] = append([]any{r.relation.alias, r.field.name}, r.rest...)
}

type aliases struct {
	b    *block
	both bool // where a column and an alias of the name might be meant
	err  error
}

// aliasDepthMax bounds aliases of aliases.
const aliasDepthMax = 20

func (x *aliases) alias(ref node) (string, bool) {
	names := list(ref, "column_names")
	name, _ := names[0].(string)
	return fold(name), len(names) == 1
}

func (x *aliases) isColumn(ref node) bool {
	_, ok := x.b.names.lookup(list(ref, "column_names"))
	return ok
}

func (x *aliases) expand(v any, depth int) any {
	switch v := v.(type) {
	case []any:
		for i, c := range v {
			v[i] = x.expand(c, depth)
		}
		return v
	case node:
		if kind(v) == "COLUMN_REF" {
			return x.column(v, depth)
		}
		for k, c := range v {
			if k == "subquery" && str(v, "class") == "SUBQUERY" || k == mark {
				continue
			}
			v[k] = x.expand(c, depth)
		}
		return v
	}
	return v
}

func (x *aliases) column(n node, depth int) any {
	name, single := x.alias(n)
	items := x.b.names.aliases[name]
	if len(items) == 0 {
		return n
	}
	if x.isColumn(n) {
		if x.both && single && keyOf(items[0]) != keyOf(n) && x.b.sourceOf(items[0]) != x.b.sourceOf(n) {
			x.err = opaque("the name " + name + " of a column and of an alias")
		}
		return n
	}
	if !single || len(items) > 1 || depth > aliasDepthMax {
		x.err = opaque("the alias " + name)
		return n
	}
	return x.expand(as(items[0], str(n, "alias")), depth+1)
}

// cutBlock is a block in two: the rows of its FROM and WHERE, which one stage
// keeps, and what is done with them.
type cutBlock struct {
	d     *divider
	upper node // the block over the kept rows
	leaf  *leaf
	lower node
	items []any
}

// cut parts a block below its SELECT. Columns get numbers for
// names.
func (d *divider) cut(b *block) (*cutBlock, error) {
	for _, region := range []string{"select_list", "group_expressions", "having", "qualify", "modifiers"} {
		correlated := false
		subqueries(b.n[region], func(n node) { correlated = correlated || child(n, "subquery")[mark] != nil })
		if correlated || hasClass(b.n[region], "STAR") && region != "modifiers" || hasClass(b.n[region], "LAMBDA") {
			return nil, opaque("*, a lambda or a correlated subquery above rows that move")
		}
	}
	upper, _ := clone(b.n).(node)
	upper["from_table"], upper["where_clause"] = nil, nil
	names := map[string]node{}
	for _, region := range regions {
		references(upper[region], func(ref node) {
			if _, ok := b.names.lookup(list(ref, "column_names")); ok || b.isMerged(firstName(ref)) {
				names[keyOf(ref)] = ref
			}
		})
	}
	c := &cutBlock{d: d, upper: upper}
	position := map[string]string{}
	for i, key := range sortedKeys(names) {
		position[key] = stored(i)
		c.items = append(c.items, as(names[key], stored(i)))
	}
	if len(c.items) == 0 {
		c.items = []any{as(whole(1), stored(0))}
	}
	for _, region := range regions {
		references(upper[region], func(ref node) {
			if to, ok := position[keyOf(ref)]; ok {
				ref["column_names"] = []any{"q", to}
			}
		})
	}
	c.lower = selectNode(c.items, clone(b.n["from_table"]).(node))
	c.lower["where_clause"] = clone(b.n["where_clause"])
	return c, nil
}

func firstName(ref node) string {
	name, _ := list(ref, "column_names")[0].(string)
	return fold(name)
}

// deal keeps the lower rows, to be dealt out by the hash of the keys, which
// are expressions over them; all go to one fragment if there are none.
func (c *cutBlock) deal(keys []node) {
	u := use{}
	for _, k := range keys[:min(len(keys), keysMax)] {
		name := stored(len(c.items))
		c.items = append(c.items, as(c.over(k), name))
		u.mode = shared
		u.keys = append(u.keys, name)
	}
	c.lower["select_list"] = c.items
	s := c.d.emit(wrap(c.lower, len(c.items), 0), make([]Column, len(c.items)))
	from := c.d.leafOver(s, u)
	c.leaf = leafOf(from)
	c.upper["from_table"] = from
}

// over is an expression over the kept rows, written over the lower block.
func (c *cutBlock) over(k node) node {
	values := map[string]node{}
	for i, v := range c.items {
		item, _ := v.(node)
		values[stored(i)] = as(item, "")
	}
	k, _ = clone(k).(node)
	references(k, func(ref node) {
		if names := list(ref, "column_names"); len(names) > 1 && names[0] == "q" {
			ref["column_names"] = names[1:]
		}
	})
	return fill(k, values)
}
