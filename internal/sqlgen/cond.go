package sqlgen

import "fmt"

// cond draws a condition over the scope.
func (b *builder) cond(s *scope, depth int) string {
	if depth > 0 && b.chance(45) {
		x, y := b.cond(s, depth-1), b.cond(s, depth-1)
		switch b.IntN(6) {
		case 0, 1:
			b.use("and")
			return b.pick("("+x+") AND ("+y+")", x+" AND "+y)
		case 2, 3, 4:
			b.use("or")
			return "(" + x + " OR " + y + ")"
		}
		b.use("not")
		return "NOT (" + x + ")"
	}
	if b.nested < 2 && depth > 0 && b.chance(15) {
		if sql, ok := b.subqueryCond(s); ok {
			return sql
		}
	}
	return b.leaf(s, depth)
}

func (b *builder) leaf(s *scope, depth int) string {
	t := b.simpleType(s)
	x, y := b.expr(s, t, depth).sql, b.short(s, t)
	if x == y {
		y = b.literal(t)
	}
	switch b.IntN(16) {
	case 0, 1, 2:
		b.use("comparison")
		return fmt.Sprintf("%s %s %s", x, b.wideOperator(), b.literal(t))
	case 3, 4:
		b.use("comparison")
		return fmt.Sprintf("%s %s %s", x, b.wideOperator(), y)
	case 5:
		b.use("in list")
		if b.chance(40) {
			return fmt.Sprintf("%s NOT IN (%s, %s)", x, b.literal(t), b.literal(t))
		}
		return fmt.Sprintf("%s %sIN (%s, %s, %s)", x, b.pick("", "", "NOT "), b.literal(t), b.literal(t), b.pick(b.literal(t), "NULL", b.short(s, t)))
	case 6:
		b.use("between")
		return fmt.Sprintf("%s %sBETWEEN %s AND %s", x, b.pick("", "NOT "), b.literal(t), b.literal(t))
	case 7:
		b.use("like")
		return fmt.Sprintf("%s %sLIKE %s", b.expr(s, tText, depth).sql, b.pick("", "NOT "), b.pick("'%a%'", "'a%'", "'_b_'", "'%'", "'%ö%'", "'a!_%' ESCAPE '!'"))
	case 8:
		b.use("ilike")
		return b.expr(s, tText, depth).sql + " ILIKE " + b.pick("'A%'", "'%B%'")
	case 9:
		b.use("regexp")
		return b.regexp(b.expr(s, tText, 0).sql)
	case 10, 11:
		b.use("is null")
		return fmt.Sprintf("%s IS %sNULL", b.any(s).ref, b.pick("", "NOT "))
	case 12:
		b.use("is distinct from")
		return fmt.Sprintf("%s IS %sDISTINCT FROM %s", x, b.pick("", "NOT "), y)
	case 13:
		if c, ok := b.column(s, tBool); ok {
			return b.pick(c.ref, "NOT "+c.ref, c.ref+" IS TRUE", c.ref+" IS NOT FALSE")
		}
	case 14:
		b.use("row comparison")
		return fmt.Sprintf("(%s, %s) %s (%s, %s)", x, b.short(s, tInt), b.pick("=", "<", ">="), b.literal(t), b.literal(tInt))
	}
	c := b.any(s)
	if c.typ == tOther {
		b.use("is null")
		return c.ref + " IS NOT NULL"
	}
	b.use("comparison")
	return fmt.Sprintf("%s %s %s", c.ref, b.wideOperator(), b.literal(c.typ))
}

func (b *builder) regexp(x string) string {
	return fmt.Sprintf(b.pick("regexp_matches(%s, '[0-9]')", "%s SIMILAR TO '[a-c]+'", "starts_with(%s, 'a')", "contains(%s, 'b')", "%s ~ '^.b'"), x)
}

// wideOperator is for literals, which few values are equal to.
func (b *builder) wideOperator() string {
	return b.pick("=", "<", ">", "<=", ">=", "<>", "<>", ">", ">=", "<")
}

// short is a column of the type, or an expression where there is none.
func (b *builder) short(s *scope, t typ) string { return b.expr(s, t, 0).sql }
