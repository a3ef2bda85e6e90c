package planner

import "fmt"

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
		if len(orders) == 1 && isOrderByAll(child(orders[0].(node), "expression")) {
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
		r.err = opaque(fmt.Sprintf(format, args...))
	}
}

// known is the merged form of a group or an aggregate.
func (r *rewriter) known(n node) node {
	key := keyOf(n)
	for i, g := range r.a.groups {
		if keyOf(g) == key {
			return wrapped(groupName(i))
		}
	}
	c := r.a.calls[key]
	if c == nil {
		return nil
	}
	if c.distinct {
		over, _ := clone(c.n).(node)
		over["children"], over["filter"] = []any{wrapped(distinctName(c.at))}, nil
		return over
	}
	partials, merged := map[string]node{}, map[string]node{}
	for i := range c.split.partial {
		partials["p"+itoa(i)] = wrapped(partialName(c.at + i))
	}
	for i, m := range c.split.merge {
		merged["m"+itoa(i)] = fill(m, partials)
	}
	return fill(c.split.final, merged)
}
