package sqlgen

import (
	"fmt"
	"strings"
)

// groupKey draws an expression to group by. It has a column in it: a lone
// number would be an ordinal.
func (b *builder) groupKey(s *scope) expr {
	c := b.any(s)
	if b.chance(60) {
		if t, ok := b.column(s, b.simpleType(s)); ok && b.chance(70) {
			c = t
		}
		return exprOf(c)
	}
	b.use("group by expression")
	switch c.typ {
	case tInt:
		return expr{fmt.Sprintf("%s %% %d", c.ref, 2+b.IntN(5)), tInt, exact}
	case tText:
		return expr{fmt.Sprintf(b.pick("upper(%s)", "left(%s, 1)", "length(%s)::VARCHAR"), c.ref), tText, exact}
	case tDate, tStamp:
		return expr{fmt.Sprintf(b.pick("year(%s)", "extract(month FROM %s)"), c.ref), tInt, exact}
	}
	return expr{fmt.Sprintf("%s IS NULL", c.ref), tBool, exact}
}

// grouped draws GROUP BY, or an aggregate over all rows.
func (b *builder) grouped(depth int) query {
	from, s := b.from(depth)
	where := b.where(s, 50)
	q := query{rows: max(1, s.rows/4)}
	var texts, keys []string
	if b.chance(20) {
		q.rows = 1
	} else {
		texts, keys = b.groupKeys(&q, s)
	}
	for range 1 + b.IntN(3) {
		a := b.aggregate(s)
		if a.typ == tInt && b.chance(20) {
			o := b.aggregate(s)
			if o.typ == tInt {
				a.sql = a.sql + b.pick(" + ", " - ") + o.sql
			}
		}
		texts = append(texts, b.item(&q, a))
	}
	q.sql = "SELECT " + list(texts) + " FROM " + from + where
	if len(keys) > 0 {
		b.use("group by")
		q.sql += " GROUP BY " + list(keys)
	}
	if b.chance(25) {
		q.sql += b.having(s)
	}
	return q
}

// groupKeys draws the keys as they stand in SELECT and in GROUP BY.
func (b *builder) groupKeys(q *query, s *scope) (texts, keys []string) {
	form := b.IntN(6)
	for i := range 1 + b.IntN(3) {
		e := b.groupKey(s)
		texts = append(texts, b.item(q, e))
		switch form {
		case 0:
			b.use("group by ordinal")
			keys = append(keys, fmt.Sprint(i+1))
		case 1:
			b.use("group by alias")
			keys = append(keys, q.columns[i].ref)
		case 2:
			b.use("group by all")
			keys = []string{"ALL"}
		default:
			keys = append(keys, e.sql)
		}
	}
	if form == 5 && len(keys) > 1 && b.chance(50) {
		// A key that is not in the result.
		keys = append(keys, b.groupKey(s).sql)
	}
	return texts, keys
}

func (b *builder) having(s *scope) string {
	b.use("having")
	a := b.steadyAggregate(s)
	if a.typ == tOther || a.typ > tStamp {
		return " HAVING " + a.sql + " IS NOT NULL"
	}
	if a.typ == tInt {
		return fmt.Sprintf(" HAVING %s %s %d", a.sql, b.pick(">", ">=", "<>", "<>"), b.IntN(4))
	}
	return fmt.Sprintf(" HAVING %s %s %s", a.sql, b.pick(">", "<>", "<>", "<"), b.literal(a.typ))
}

// groupingSets draws ROLLUP, CUBE and GROUPING SETS.
func (b *builder) groupingSets() query {
	from, s := b.from(1)
	q := query{rows: max(1, s.rows/3)}
	var texts, keys []string
	for len(keys) < 2+b.IntN(2) {
		c, ok := b.column(s, b.simpleType(s))
		if !ok {
			c = b.any(s)
		}
		e := exprOf(c)
		texts = append(texts, b.item(&q, e))
		keys = append(keys, e.sql)
	}
	if b.chance(60) {
		b.use("grouping()")
		texts = append(texts, b.item(&q, expr{b.pick("grouping", "grouping_id") + "(" + list(keys[:2]) + ")", tInt, exact}))
	}
	for range 1 + b.IntN(3) {
		texts = append(texts, b.item(&q, b.aggregate(s)))
	}
	var by string
	switch form := b.pick("grouping sets", "rollup", "cube"); form {
	case "grouping sets":
		b.use(form)
		by = fmt.Sprintf("GROUPING SETS ((%s), (%s), ()%s)", list(keys), keys[0], b.pick("", ", ("+keys[1]+")", ", ()"))
	default:
		b.use(form)
		by = strings.ToUpper(form) + " (" + list(keys) + ")"
	}
	q.sql = "SELECT " + list(texts) + " FROM " + from + b.where(s, 50) + " GROUP BY " + by
	if b.chance(20) {
		q.sql += b.having(s)
	}
	return q
}

// windowOverGroups draws a window function over aggregates.
func (b *builder) windowOverGroups() query {
	from, s := b.from(1)
	q := query{rows: max(1, s.rows/4)}
	k := b.groupKey(s)
	b.use("group by", "window over aggregate", "count(*)", "sum")
	texts := []string{b.item(&q, k), b.item(&q, expr{"count(*)", tInt, exact})}
	x := b.expr(s, tInt, 0).sql
	sum := expr{"sum(" + x + ")", tInt, exact}
	switch b.IntN(4) {
	case 0:
		b.use("rank")
		texts = append(texts, b.item(&q, expr{"rank() OVER (ORDER BY " + sum.sql + " " + b.direction() + ")", tInt, exact}))
	case 1:
		b.use("window aggregate")
		texts = append(texts, b.item(&q, expr{"sum(count(*)) OVER ()", tInt, exact}))
	case 2:
		b.use("window aggregate", "lag")
		texts = append(texts, b.item(&q, expr{"lag(count(*)) OVER (ORDER BY " + k.sql + ")", tInt, exact}))
	case 3:
		b.use("row_number", "partition by")
		texts = append(texts, b.item(&q, expr{"row_number() OVER (PARTITION BY count(*) % 2 ORDER BY count(*) DESC, " + k.sql + ")", tInt, exact}))
	}
	q.sql = fmt.Sprintf("SELECT %s FROM %s%s GROUP BY %s", list(texts), from, b.where(s, 40), k.sql)
	return q
}
