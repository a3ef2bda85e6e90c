package sqlgen

import "fmt"

// expr draws an expression of the type over the scope.
func (b *builder) expr(s *scope, t typ, depth int) expr {
	if depth <= 0 || b.chance(40) {
		if c, ok := b.column(s, t); ok && b.chance(96) {
			return exprOf(c)
		}
		if depth <= 0 {
			return expr{b.literal(t), t, exact}
		}
	}
	if b.chance(25) {
		return b.anyway(s, t, depth)
	}
	switch t {
	case tBool:
		return expr{"(" + b.cond(s, depth-1) + ")", t, exact}
	case tInt:
		return b.intExpr(s, depth)
	case tDouble:
		return b.doubleExpr(s, depth)
	case tDecimal:
		return b.decimalExpr(s, depth)
	case tText:
		return b.textExpr(s, depth)
	case tDate, tStamp, tInstant:
		return b.timeExpr(s, t, depth)
	case tInts, tTexts, tStruct, tMap:
		return b.nestedExpr(s, t)
	}
	return b.anyway(s, t, depth)
}

// anyway draws forms that any type has.
func (b *builder) anyway(s *scope, t typ, depth int) expr {
	x, y := b.expr(s, t, depth-1), b.expr(s, t, depth-1)
	l := max(x.level, y.level)
	switch b.IntN(5) {
	case 0:
		b.use("case")
		return expr{fmt.Sprintf("CASE WHEN %s THEN %s ELSE %s END", b.cond(s, depth-1), x.sql, y.sql), t, l}
	case 1:
		b.use("case")
		c, of := b.expr(s, tInt, 0), b.literal(tInt)
		return expr{fmt.Sprintf("CASE %s WHEN %s THEN %s WHEN %d THEN NULL ELSE %s END", c.sql, of, x.sql, heavy, y.sql), t, l}
	case 2:
		return expr{fmt.Sprintf("nullif(%s, %s)", x.sql, b.literal(t)), t, x.level}
	case 3:
		return expr{fmt.Sprintf("%s(%s, %s)", b.pick("greatest", "least"), x.sql, y.sql), t, l}
	}
	b.use("coalesce")
	return expr{fmt.Sprintf("coalesce(%s, %s)", x.sql, y.sql), t, l}
}

// long is an integer expression as BIGINT, so that no sum overflows.
func (b *builder) long(s *scope, depth int) string {
	x := b.expr(s, tInt, depth).sql
	if b.chance(50) {
		b.use("cast")
		return "(" + x + ")::BIGINT"
	}
	return "CAST(" + x + " AS BIGINT)"
}

func (b *builder) intExpr(s *scope, depth int) expr {
	is := func(format string, a ...any) expr { return expr{fmt.Sprintf(format, a...), tInt, exact} }
	switch b.IntN(14) {
	case 0, 1:
		return is("(%s %s %s)", b.long(s, depth-1), b.pick("+", "-"), b.long(s, depth-1))
	case 2:
		return is("%s * %d", b.long(s, 0), b.IntN(7)-2)
	case 3:
		b.use("number function")
		return is("%s %s %d", b.long(s, 0), b.pick("%", "//"), b.IntN(5))
	case 4:
		b.use("number function")
		return is("%s(%s)", b.pick("abs", "sign", "-", "~"), b.long(s, depth-1))
	case 5:
		b.use("text function")
		x := b.expr(s, tText, depth-1).sql
		return is(b.pick("length(%s)", "strlen(%s)", "position('a' IN %s)", "ascii(%s)", "levenshtein(%s, 'abc')"), x)
	case 6:
		b.use("date function")
		part := b.pick("year", "month", "day", "dow", "quarter", "week", "doy")
		return is(b.pick("extract(%s FROM %s)", "date_part('%s', %s)"), part, b.expr(s, b.timed(s), 0).sql)
	case 7:
		b.use("date function")
		t := b.timed(s)
		return is("date_diff('%s', %s, %s)", b.pick("day", "month", "year"), b.expr(s, t, 0).sql, b.expr(s, t, 0).sql)
	case 8:
		b.use("cast")
		return is("CAST(%s AS INTEGER)", b.expr(s, tBool, depth-1).sql)
	case 9:
		b.use("try_cast")
		return is("TRY_CAST(%s AS INTEGER)", b.expr(s, tText, depth-1).sql)
	case 10:
		b.use("struct field")
		x := b.expr(s, tStruct, 0).sql
		return is(b.pick("(%s).x", "(%s)['x']", "struct_extract(%s, 'x')"), x)
	case 11:
		b.use("map element")
		return is(b.pick("(%s)['a']", "(%s)['b']", "cardinality(%s)::INTEGER"), b.expr(s, tMap, 0).sql)
	case 12:
		b.use("list function")
		x := b.expr(s, tInts, 0).sql
		return is(b.pick("len(%s)", "(%s)[1]", "list_max(%s)", "list_sum(%s)::BIGINT", "list_position(%s, 3)", "(%s)[-1]"), x)
	}
	if b.nested < 2 && b.chance(60) {
		return b.scalarSubquery(s)
	}
	return b.anyway(s, tInt, depth)
}

// timed draws a type with a date.
func (b *builder) timed(s *scope) typ {
	for _, i := range b.Perm(3) {
		if t := []typ{tDate, tStamp, tInstant}[i]; s.has(t) {
			return t
		}
	}
	return tDate
}

func (b *builder) doubleExpr(s *scope, depth int) expr {
	x := b.expr(s, tDouble, depth-1)
	is := func(format string, a ...any) expr {
		return expr{fmt.Sprintf(format, a...), tDouble, max(fixed, x.level)}
	}
	switch b.IntN(6) {
	case 0:
		return is("(%s %s %s)", x.sql, b.pick("+", "-", "*"), b.pick("0.1::DOUBLE", "3::DOUBLE", "-2"))
	case 1:
		return is("%s / %d", x.sql, b.IntN(4))
	case 2:
		b.use("number function")
		return is(b.pick("round(%s, 1)", "floor(%s)", "ceil(%s)", "abs(%s)", "sqrt(abs(%s))", "cbrt(%s)", "trunc(%s)"), x.sql)
	case 3:
		b.use("cast")
		return is(b.pick("CAST(%s AS DOUBLE)", "(%s)::DOUBLE"), b.expr(s, tInt, depth-1).sql)
	case 4:
		b.use("number function")
		return is("%s / %s", b.expr(s, tInt, 0).sql, b.expr(s, tInt, 0).sql)
	}
	return b.anyway(s, tDouble, depth)
}

func (b *builder) decimalExpr(s *scope, depth int) expr {
	x := b.expr(s, tDecimal, depth-1)
	is := func(format string, a ...any) expr { return expr{fmt.Sprintf(format, a...), tDecimal, x.level} }
	switch b.IntN(5) {
	case 0:
		return is("CAST(%s %s %s AS DECIMAL(18,4))", x.sql, b.pick("+", "-"), b.expr(s, tDecimal, 0).sql)
	case 1:
		return is("CAST(%s * %d AS DECIMAL(18,4))", x.sql, b.IntN(5))
	case 2:
		b.use("cast")
		return is("(%s)::DECIMAL(18,4)", b.expr(s, tInt, 0).sql)
	case 3:
		b.use("number function")
		return is(b.pick("round(%s, 1)", "abs(%s)", "-(%s)"), x.sql)
	}
	return b.anyway(s, tDecimal, depth)
}

func (b *builder) textExpr(s *scope, depth int) expr {
	x := b.expr(s, tText, depth-1)
	is := func(format string, a ...any) expr { return expr{fmt.Sprintf(format, a...), tText, x.level} }
	switch b.IntN(9) {
	case 0:
		return is("(%s || %s)", x.sql, b.expr(s, tText, depth-1).sql)
	case 1:
		b.use("text function")
		return is(b.pick("upper(%s)", "lower(%s)", "reverse(%s)", "trim(%s)", "left(%s, 2)", "right(%s, 1)", "md5(%s)", "repeat(%s, 2)", "lpad(%s, 4, '*')"), x.sql)
	case 2:
		b.use("text function")
		return is(b.pick("substring(%s, 2, 3)", "substring(%s FROM 1 FOR 2)", "replace(%s, 'a', 'o')", "split_part(%s, ' ', 2)", "translate(%s, 'ab', 'xy')", "(%s)[1:3]"), x.sql)
	case 3:
		b.use("text function")
		return is("concat(%s, '-', %s)", x.sql, b.expr(s, tInt, 0).sql)
	case 4:
		b.use("cast")
		of := b.pick("CAST(%s AS VARCHAR)", "%s::VARCHAR")
		t := []typ{tInt, tDate, tStamp, tDecimal, tBool, tInt}[b.IntN(6)]
		return is(of, b.expr(s, t, 0).sql)
	case 5:
		b.use("date function")
		return is(b.pick("strftime(%s, '%%Y-%%m')", "monthname(%s)", "dayname(%s)"), b.expr(s, tStamp, 0).sql)
	case 6:
		b.use("regexp")
		return is(b.pick("regexp_replace(%s, '[aeiou]', '*', 'g')", "regexp_extract(%s, '([a-z])(.)', 2)"), x.sql)
	case 7:
		b.use("struct field")
		return is("(%s).y", b.expr(s, tStruct, 0).sql)
	}
	b.use("list function")
	return is(b.pick("(%s)[1]", "array_to_string(%s, '/')", "list_min(%s)"), b.expr(s, tTexts, 0).sql)
}

func (b *builder) timeExpr(s *scope, t typ, depth int) expr {
	x := b.expr(s, t, depth-1)
	is := func(format string, a ...any) expr { return expr{fmt.Sprintf(format, a...), t, x.level} }
	name := map[typ]string{tDate: "DATE", tStamp: "TIMESTAMP", tInstant: "TIMESTAMPTZ"}[t]
	switch b.IntN(5) {
	case 0:
		b.use("interval arithmetic")
		return is("CAST(%s %s INTERVAL %s AS %s)", x.sql, b.pick("+", "-"), b.pick("1 DAY", "'2' MONTH", "'36 hours'", "(3) YEAR"), name)
	case 1:
		b.use("date function")
		return is("CAST(date_trunc('%s', %s) AS %s)", b.pick("month", "year", "day", "week", "quarter"), x.sql, name)
	case 2:
		b.use("cast")
		return is("%s::%s", b.expr(s, []typ{tDate, tStamp}[b.IntN(2)], 0).sql, name)
	case 3:
		if t == tStamp && s.has(tInstant) {
			b.use("time zone")
			return is("(%s AT TIME ZONE %s)", b.expr(s, tInstant, 0).sql, b.pick("'Europe/Berlin'", "'America/New_York'", "'UTC'"))
		}
		if t == tDate {
			b.use("date function")
			return is("last_day(%s)", x.sql)
		}
	}
	return b.anyway(s, t, depth)
}

func (b *builder) nestedExpr(s *scope, t typ) expr {
	is := func(format string, a ...any) expr { return expr{fmt.Sprintf(format, a...), t, exact} }
	switch {
	case t == tStruct:
		b.use("struct literal")
		x, y := b.expr(s, tInt, 0).sql, b.expr(s, tText, 0).sql
		return is(b.pick("{'x': CAST(%s AS INTEGER), 'y': %s}", "struct_pack(x := (%s)::INTEGER, y := %s)"), x, y)
	case t == tMap:
		return is("MAP {'a': (%s)::INTEGER, 'z': 0}", b.expr(s, tInt, 0).sql)
	case b.chance(40):
		b.use("list literal")
		of := tText
		if t == tInts {
			of = tInt
		}
		e, f := b.expr(s, of, 0).sql, b.expr(s, of, 0).sql
		if t == tInts {
			e, f = e+"::INTEGER", f+"::INTEGER"
		}
		return is(b.pick("[%s, %s]", "list_value(%s, %s)", "list_sort([%s, %s])"), e, f)
	}
	x := b.expr(s, t, 0).sql
	lambda := b.pick("x -> %s", "lambda x: %s")
	switch {
	case t == tInts && b.chance(45):
		b.use("list comprehension")
		return is("[x * 2 FOR x IN %s IF x > 1]", x)
	case t == tInts && b.chance(70):
		b.use("lambda")
		return is("list_transform(%s, "+lambda+")", x, b.pick("x + 1", "x % 3", "coalesce(x, 0)"))
	case t == tTexts && b.chance(60):
		b.use("lambda")
		return is("list_transform(%s, "+lambda+")", x, b.pick("upper(x)", "x || '!'"))
	case b.chance(50):
		b.use("lambda")
		return is("list_filter(%s, "+lambda+")", x, "x IS NOT NULL")
	}
	b.use("list function")
	return is(b.pick("list_sort(%s)", "list_reverse(%s)", "list_sort(list_distinct(%s))", "list_concat(%[1]s, %[1]s)", "(%s)[1:2]", "list_append(%s, NULL)"), x)
}
