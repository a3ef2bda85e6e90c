package sqlgen

import (
	"fmt"
	"strings"
)

// shifted ends an aggregate that may be near zero, where two floats that
// differ in their last digits are not equal to nine digits.
const shifted = " + 1"

// aggregate draws an aggregate over the scope. It is noisy where the order of
// rows may change the last digits.
func (b *builder) aggregate(s *scope) expr {
	rules := aggregateRules()
	for range 20 {
		if e, ok := rules[b.IntN(len(rules))](b, s); ok {
			if b.chance(12) && e.sql != "" {
				b.use("filter")
				filter := " FILTER (WHERE " + b.cond(s, 1) + ")"
				if inner, ok := strings.CutSuffix(e.sql, shifted); ok {
					e.sql = inner + filter + shifted
				} else {
					e.sql += filter
				}
			}
			return e
		}
	}
	b.use("count(*)")
	return expr{"count(*)", tInt, exact}
}

// steadyAggregate draws one whose value may decide something.
func (b *builder) steadyAggregate(s *scope) expr {
	for range 10 {
		if e := b.aggregate(s); e.level < noisy {
			return e
		}
	}
	b.use("count(*)")
	return expr{"count(*)", tInt, exact}
}

type aggregateRule func(b *builder, s *scope) (expr, bool)

// aggregateRules stand as often as they are wanted.
func aggregateRules() []aggregateRule {
	return []aggregateRule{
		aggCount, aggCount, aggSum, aggSum, aggAvg, aggMinMax, aggMinMax, aggBool, aggBits,
		aggSpread, aggPair, aggDistinct, aggArg, aggArg, aggText, aggList, aggQuantile, aggRare, aggAny, aggDecided,
	}
}

func aggCount(b *builder, s *scope) (expr, bool) {
	if b.chance(50) {
		b.use("count(*)")
		return expr{b.pick("count(*)", "count()", "count(1)"), tInt, exact}, true
	}
	if b.chance(20) {
		b.use("count_if")
		return expr{"count_if(" + b.cond(s, 1) + ")", tInt, exact}, true
	}
	b.use("count")
	return expr{"count(" + b.any(s).ref + ")", tInt, exact}, true
}

func aggSum(b *builder, s *scope) (expr, bool) {
	b.use("sum")
	switch b.IntN(6) {
	case 0:
		if x := b.expr(s, tDouble, 1); x.level == exact {
			return expr{"sum(" + x.sql + ")", tDouble, exact}, true
		} else {
			return expr{"sum(" + x.sql + ")", tDouble, noisy}, true
		}
	case 1:
		if x, ok := b.column(s, tDecimal); ok {
			return expr{"sum(" + x.ref + ")", tWide, exact}, true
		}
	case 2:
		if x, ok := b.column(s, []typ{tBig, tHuge}[b.IntN(2)]); ok {
			return expr{"sum(" + x.ref + ")", tHuge, exact}, true
		}
	case 3:
		if x, ok := b.column(s, tFloat); ok {
			return expr{"sum(" + x.ref + ")", tDouble, noisy}, true
		}
	case 4:
		return expr{"sum(CASE WHEN " + b.cond(s, 1) + " THEN 1 ELSE 0 END)", tInt, exact}, true
	}
	return expr{"sum(" + b.expr(s, tInt, 2).sql + ")", tInt, exact}, true
}

func aggAvg(b *builder, s *scope) (expr, bool) {
	b.use("avg")
	t := []typ{tInt, tDouble, tDecimal, tBig, tDate, tWide}[b.IntN(6)]
	x, ok := b.column(s, t)
	if !ok {
		return expr{}, false
	}
	out, l := tDouble, noisy
	if t == tDate {
		out, l = tStamp, fixed
	}
	return expr{"avg(" + x.ref + ")", out, l}, true
}

func aggMinMax(b *builder, s *scope) (expr, bool) {
	f := b.pick("min", "max")
	b.use(f)
	if c := b.any(s); b.chance(50) && c.typ != tMap {
		return expr{f + "(" + c.ref + ")", c.typ, c.level}, true
	}
	x := b.expr(s, b.simpleType(s), 2)
	return expr{f + "(" + x.sql + ")", x.typ, x.level}, x.level < noisy
}

func aggBool(b *builder, s *scope) (expr, bool) {
	f := b.pick("bool_and", "bool_or")
	b.use(f)
	return expr{f + "(" + b.cond(s, 1) + ")", tBool, exact}, true
}

func aggBits(b *builder, s *scope) (expr, bool) {
	f := b.pick("bit_and", "bit_or", "bit_xor")
	b.use(f)
	return expr{f + "(" + b.long(s, 1) + ")", tInt, exact}, true
}

// aggSpread leaves skewness and kurtosis out: over equal values they are noise
// that depends on the order of the rows.
func aggSpread(b *builder, s *scope) (expr, bool) {
	f := b.pick("var_samp", "var_pop", "stddev_samp", "stddev_pop", "var_samp", "stddev_samp")
	x, ok := b.column(s, []typ{tInt, tDouble, tDecimal}[b.IntN(3)])
	if !ok {
		return expr{}, false
	}
	b.use(f)
	name := f
	switch f {
	case "var_samp":
		name = b.pick("var_samp", "variance")
	case "stddev_samp":
		name = b.pick("stddev_samp", "stddev")
	}
	return expr{name + "(" + x.ref + ")", tDouble, noisy}, true
}

func aggPair(b *builder, s *scope) (expr, bool) {
	x, ok := b.column(s, []typ{tInt, tDouble}[b.IntN(2)])
	y, also := b.column(s, []typ{tInt, tDouble}[b.IntN(2)])
	if !ok || !also {
		return expr{}, false
	}
	f := b.pick("corr", "covar_samp", "covar_pop", "regr_slope", "regr_intercept", "regr_r2", "regr_avgx", "regr_avgy", "regr_sxx", "regr_syy", "regr_sxy", "regr_count", "corr", "covar_samp", "covar_pop")
	if f[0] == 'r' {
		b.use("regr")
	} else {
		b.use(f)
	}
	return expr{fmt.Sprintf("%s(%s, %s)", f, y.ref, x.ref) + shifted, tDouble, noisy}, true
}

func aggDistinct(b *builder, s *scope) (expr, bool) {
	c := b.any(s)
	switch b.IntN(5) {
	case 0:
		b.use("sum distinct")
		return expr{"sum(DISTINCT " + b.expr(s, tInt, 1).sql + ")", tInt, exact}, true
	case 1:
		b.use("list distinct")
		t := []typ{tInt, tText, tDate}[b.IntN(3)]
		x := b.expr(s, t, 0)
		return expr{fmt.Sprintf("list(DISTINCT %s ORDER BY %s %s)", x.sql, x.sql, b.direction()), tOther, x.level}, true
	case 2:
		b.use("count distinct")
		return expr{"count(DISTINCT " + b.expr(s, b.simpleType(s), 1).sql + ")", tInt, exact}, true
	}
	b.use("count distinct")
	return expr{"count(DISTINCT " + c.ref + ")", tInt, exact}, true
}

// aggArg takes the value of the row that has the least or greatest id.
func aggArg(b *builder, s *scope) (expr, bool) {
	c := b.any(s)
	id, ok := s.ids[c.source]
	if !ok || c.source == "" {
		return expr{}, false
	}
	f := b.pick("arg_min", "arg_max")
	b.use(f)
	name := f
	if b.chance(30) {
		name = map[string]string{"arg_min": "min_by", "arg_max": "max_by"}[f]
	}
	return expr{fmt.Sprintf("%s(%s, %s)", name, c.ref, id), c.typ, c.level}, true
}

func (b *builder) direction() string {
	d := b.pick("", "ASC", "DESC", "DESC")
	switch b.IntN(4) {
	case 0:
		b.use("nulls first")
		d += " NULLS FIRST"
	case 1:
		b.use("nulls last")
		d += " NULLS LAST"
	}
	return d
}

func aggText(b *builder, s *scope) (expr, bool) {
	b.use("string_agg")
	x := b.expr(s, tText, 1).sql
	d := b.pick("", "DESC")
	return expr{fmt.Sprintf(b.pick("string_agg(%s, '|' ORDER BY %s %s)", "listagg(%s, ',' ORDER BY %s %s)", "group_concat(%s, '' ORDER BY %s %s)"), x, x, d), tText, exact}, true
}

func aggList(b *builder, s *scope) (expr, bool) {
	b.use("list")
	f := b.pick("list", "array_agg")
	c := b.any(s)
	if id, ok := s.ids[c.source]; ok && c.source != "" {
		return expr{fmt.Sprintf("%s(%s ORDER BY %s %s)", f, c.ref, id, b.direction()), tOther, c.level}, true
	}
	x := b.expr(s, b.simpleType(s), 1)
	return expr{fmt.Sprintf("%s(%s ORDER BY %s %s)", f, x.sql, x.sql, b.direction()), tOther, x.level}, x.level < noisy
}

func aggQuantile(b *builder, s *scope) (expr, bool) {
	t := []typ{tInt, tDouble, tDecimal, tDate, tStamp}[b.IntN(5)]
	x, ok := b.column(s, t)
	if !ok {
		return expr{}, false
	}
	q := b.pick("0.25", "0.5", "0.9", "0", "1")
	switch b.IntN(5) {
	case 0:
		b.use("median")
		return expr{"median(" + x.ref + ")", tOther, fixed}, true
	case 1:
		b.use("quantile_cont")
		return expr{fmt.Sprintf(b.pick("quantile_cont(%s, %s)", "percentile_cont(%[2]s) WITHIN GROUP (ORDER BY %[1]s)"), x.ref, q), tOther, fixed}, true
	case 2:
		b.use("quantile_disc")
		return expr{fmt.Sprintf("quantile_disc(%s, [0.1, %s])", x.ref, q), tOther, fixed}, true
	}
	b.use("quantile_disc")
	return expr{fmt.Sprintf("quantile_disc(%s, %s)", x.ref, q), t, fixed}, true
}

func aggRare(b *builder, s *scope) (expr, bool) {
	x, ok := b.column(s, tInt)
	if !ok {
		return expr{}, false
	}
	switch b.IntN(6) {
	case 0:
		b.use("product")
		return expr{fmt.Sprintf("product(CASE WHEN %s > 30 THEN 2 ELSE 1 END)", x.ref), tDouble, fixed}, true
	case 1:
		b.use("histogram")
		return expr{"histogram(" + x.ref + ")", tOther, exact}, true
	case 2:
		b.use("approx_count_distinct")
		return expr{"approx_count_distinct(" + x.ref + ")", tInt, exact}, true
	case 3:
		b.use("entropy")
		return expr{"entropy(" + x.ref + ")" + shifted, tDouble, noisy}, true
	}
	b.use("min n")
	return expr{fmt.Sprintf("%s(%s, %d)", b.pick("min", "max"), x.ref, 1+b.IntN(3)), tInts, exact}, true
}

// aggAny takes any of equal values.
func aggAny(b *builder, s *scope) (expr, bool) {
	if b.chance(50) {
		b.use("any_value")
		return expr{"any_value(CASE WHEN " + b.cond(s, 1) + " THEN 'some' END)", tText, exact}, true
	}
	b.use("first")
	x := b.expr(s, b.simpleType(s), 1)
	return expr{fmt.Sprintf("%s(%s ORDER BY %s %s)", b.pick("first", "last"), x.sql, x.sql, b.direction()), x.typ, x.level}, x.level < noisy
}

// aggDecided is arg_min over the same expression.
func aggDecided(b *builder, s *scope) (expr, bool) {
	f := b.pick("arg_min", "arg_max")
	b.use(f)
	x := b.expr(s, tInt, 1).sql
	return expr{fmt.Sprintf("%s(%s, %s)", f, x, x), tInt, exact}, true
}
