package sqlgen

import "fmt"

// window draws a window function over the scope.
func (b *builder) window(s *scope) expr {
	partition := ""
	if b.chance(65) {
		b.use("partition by")
		partition = "PARTITION BY " + b.expr(s, []typ{tInt, tText, tBool}[b.IntN(3)], 1).sql + " "
	} else {
		b.use("no partition")
	}
	if b.chance(30) {
		return b.ranked(s, partition)
	}
	if !s.orders() || b.chance(50) {
		return b.windowAggregate(s, partition)
	}
	s.placed = true
	order := "ORDER BY "
	if b.chance(60) {
		order += b.expr(s, b.simpleType(s), 1).sql + " " + b.direction() + ", "
	}
	order += b.total(s)
	c := b.any(s)
	over := " OVER (" + partition + order + ")"
	ignore := ""
	if b.chance(15) {
		b.use("ignore nulls")
		ignore = " IGNORE NULLS"
	}
	switch b.IntN(7) {
	case 0, 1:
		b.use("row_number")
		return expr{"row_number()" + over, tInt, exact}
	case 2:
		b.use("ntile")
		return expr{fmt.Sprintf("ntile(%d)%s", 1+b.IntN(5), over), tInt, exact}
	case 3, 4:
		f := b.pick("lag", "lead")
		b.use(f)
		args := b.pick("%s%s", "%s, 2%s", "%s, 1, NULL%s")
		return expr{f + "(" + fmt.Sprintf(args, c.ref, ignore) + ")" + over, c.typ, c.level}
	case 5:
		b.use("nth_value")
		return expr{fmt.Sprintf("nth_value(%s, %d%s) OVER (%s%s%s)", c.ref, 1+b.IntN(3), ignore, partition, order, b.rows()), c.typ, c.level}
	}
	f := b.pick("first_value", "last_value")
	b.use(f)
	return expr{fmt.Sprintf("%s(%s%s) OVER (%s%s%s)", f, c.ref, ignore, partition, order, b.rows()), c.typ, c.level}
}

// total is the scope's total order.
func (b *builder) total(s *scope) string {
	keys := make([]string, len(s.key))
	for i, k := range s.key {
		keys[i] = k + " " + b.direction()
	}
	return list(keys)
}

// ranked draws a function that gives peers the same value.
func (b *builder) ranked(s *scope, partition string) expr {
	f := b.pick("rank", "dense_rank", "percent_rank", "cume_dist")
	b.use(f)
	t := tInt
	if f[0] == 'p' || f[0] == 'c' {
		t = tDouble
	}
	order := b.expr(s, b.simpleType(s), 1).sql
	return expr{fmt.Sprintf("%s() OVER (%sORDER BY %s %s)", f, partition, order, b.direction()), t, fixed}
}

func (b *builder) rows() string {
	b.use("rows frame")
	frame := b.pick("UNBOUNDED PRECEDING AND CURRENT ROW", "UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING", "2 PRECEDING AND 1 FOLLOWING", "CURRENT ROW AND UNBOUNDED FOLLOWING", "3 PRECEDING AND 1 PRECEDING")
	return " ROWS BETWEEN " + frame + b.exclude()
}

func (b *builder) exclude() string {
	if !b.chance(15) {
		return ""
	}
	b.use("exclude frame")
	return b.pick(" EXCLUDE CURRENT ROW", " EXCLUDE GROUP", " EXCLUDE TIES")
}

// windowAggregate draws an aggregate over a frame that is fixed by values.
func (b *builder) windowAggregate(s *scope, partition string) expr {
	b.use("window aggregate")
	var a expr
	switch b.IntN(5) {
	case 0:
		b.use("count(*)")
		a = expr{"count(*)", tInt, exact}
	case 1:
		b.use("avg")
		a = expr{"avg(" + b.expr(s, tInt, 0).sql + ")", tDouble, noisy}
	case 2:
		a, _ = aggMinMax(b, s)
	default:
		b.use("sum")
		a = expr{"sum(" + b.expr(s, tInt, 1).sql + ")", tInt, exact}
	}
	if b.chance(15) {
		b.use("filter")
		a.sql += " FILTER (WHERE " + b.cond(s, 0) + ")"
	}
	order := ""
	switch b.IntN(5) {
	case 0:
		if s.orders() {
			s.placed = true
			order = "ORDER BY " + b.total(s) + b.rows()
		}
	case 1:
		b.use("range frame")
		order = fmt.Sprintf("ORDER BY %s %s RANGE BETWEEN %s", b.expr(s, tInt, 0).sql, b.direction(), b.pick("5 PRECEDING AND 5 FOLLOWING", "UNBOUNDED PRECEDING AND CURRENT ROW", "CURRENT ROW AND 10 FOLLOWING")) + b.exclude()
	case 2:
		b.use("groups frame")
		order = fmt.Sprintf("ORDER BY %s GROUPS BETWEEN 1 PRECEDING AND CURRENT ROW", b.expr(s, b.simpleType(s), 0).sql)
	case 3:
		order = "ORDER BY " + b.expr(s, b.simpleType(s), 1).sql + " " + b.direction()
	}
	return expr{a.sql + " OVER (" + partition + order + ")", a.typ, max(a.level, fixed)}
}
