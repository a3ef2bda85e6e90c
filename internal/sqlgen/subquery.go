package sqlgen

import "fmt"

// inner draws the FROM of a subquery and its WHERE, which may look at the
// query around it.
func (b *builder) inner(outer *scope) (sql string, s *scope) {
	b.nested++
	defer func() { b.nested-- }()
	sql, s = b.base(b.table(), b.alias("s"))
	where := ""
	if b.chance(60) {
		b.use("correlated subquery")
		t := []typ{tInt, tInt, tText}[b.IntN(3)]
		x, ok := b.column(s, t)
		y, also := b.column(outer, t)
		if ok && also {
			where = x.ref + b.pick(" = ", " = ", " = ", " <= ", " <> ") + y.ref
		}
	}
	if where == "" || b.chance(30) {
		if where != "" {
			where += " AND "
		}
		where += b.cond(s, 1)
	}
	return sql + " WHERE " + where, s
}

// subqueryCond draws a condition with a subquery.
func (b *builder) subqueryCond(outer *scope) (string, bool) {
	from, s := b.inner(outer)
	switch b.IntN(7) {
	case 0:
		b.use("exists")
		return "EXISTS (SELECT " + b.pick("1", "*") + " FROM " + from + ")", true
	case 1:
		b.use("not exists")
		return "NOT EXISTS (SELECT 1 FROM " + from + ")", true
	case 2, 3:
		t := []typ{tInt, tText}[b.IntN(2)]
		x, ok := b.column(outer, t)
		y, also := b.column(s, t)
		if !ok || !also {
			return "", false
		}
		word := b.pick("IN", "IN", "NOT IN")
		b.use(map[string]string{"IN": "in subquery", "NOT IN": "not in subquery"}[word])
		return fmt.Sprintf("%s %s (SELECT %s FROM %s)", x.ref, word, y.ref, from), true
	case 4:
		b.use("quantified subquery")
		x, ok := b.column(outer, tInt)
		if !ok {
			return "", false
		}
		return fmt.Sprintf("%s %s %s (SELECT %s FROM %s)", x.ref, b.pick("=", ">", "<=", "<>"), b.pick("ANY", "ALL"), b.expr(s, tInt, 0).sql, from), true
	}
	b.use("scalar subquery")
	a := b.steadyAggregate(s)
	if a.typ > tText || a.typ == tBig || a.typ == tHuge {
		a = expr{"count(*)", tInt, exact}
		b.use("count(*)")
	}
	return fmt.Sprintf("%s %s (SELECT %s FROM %s)", b.expr(outer, a.typ, 0).sql, b.pick("=", "<", ">="), a.sql, from), true
}

// scalarSubquery draws an integer from a subquery.
func (b *builder) scalarSubquery(outer *scope) expr {
	from, s := b.inner(outer)
	x := b.expr(s, tInt, 0).sql
	b.use("scalar subquery")
	switch b.IntN(4) {
	case 0:
		b.use("max")
		return expr{"(SELECT max(" + x + ") FROM " + from + ")", tInt, exact}
	case 1:
		b.use("sum")
		return expr{"(SELECT sum(" + x + ") FROM " + from + ")", tInt, exact}
	case 2:
		b.use("order by", "limit")
		return expr{fmt.Sprintf("(SELECT %s FROM %s ORDER BY %s NULLS LAST LIMIT 1)", x, from, x), tInt, exact}
	}
	b.use("count(*)")
	return expr{"(SELECT count(*) FROM " + from + ")", tInt, exact}
}
