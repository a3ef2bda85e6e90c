package sqlgen

import (
	"fmt"
	"slices"
	"strings"
)

// depth of expressions in a select list or condition.
const exprDepth = 2

// item writes one output column.
func (b *builder) item(q *query, e expr) string {
	name := fmt.Sprintf("c%d", len(q.columns)+1)
	q.columns = append(q.columns, column{name, e.typ, e.level, ""})
	return e.sql + b.pick(" AS ", " AS ", " ") + name
}

// items draws some output columns of simple types and of any other.
func (b *builder) items(q *query, s *scope) []string {
	var texts []string
	for range 1 + b.IntN(4) {
		e := exprOf(b.any(s))
		if b.chance(60) {
			e = b.expr(s, b.anyType(s), exprDepth)
		}
		texts = append(texts, b.item(q, e))
	}
	return texts
}

// anyType draws a simple type, or a nested one of which there is a column.
func (b *builder) anyType(s *scope) typ {
	if b.chance(30) {
		if t := []typ{tInts, tTexts, tStruct, tMap, tInstant}[b.IntN(5)]; s.has(t) {
			return t
		}
	}
	return b.simpleType(s)
}

// where is a WHERE clause or nothing.
func (b *builder) where(s *scope, percent int) string {
	if !b.chance(percent) {
		return ""
	}
	b.use("where")
	return " WHERE " + b.cond(s, b.IntN(3))
}

func (b *builder) plain(depth int) query {
	from, s := b.from(depth)
	q := query{rows: s.rows}
	texts := b.items(&q, s)
	q.sql = "SELECT " + list(texts) + " FROM " + from + b.where(s, 65)
	return q
}

func (b *builder) distinct(depth int) query {
	for range 10 {
		if q := b.plain(depth); !q.noisy() {
			b.use("distinct")
			q.sql = "SELECT DISTINCT" + strings.TrimPrefix(q.sql, "SELECT")
			return q
		}
	}
	return b.plain(depth)
}

// distinctOn keeps the first row of each key in a total order.
func (b *builder) distinctOn() query {
	from, s := b.from(1)
	if len(s.key) == 0 {
		return b.plain(1)
	}
	q := query{rows: s.rows}
	on := b.any(s)
	texts := append([]string{b.item(&q, exprOf(on))}, b.items(&q, s)...)
	b.use("distinct on", "order by")
	q.sql = fmt.Sprintf("SELECT DISTINCT ON (%s) %s FROM %s%s ORDER BY %s %s, %s", on.ref, list(texts), from, b.where(s, 50), on.ref, b.direction(), b.total(s))
	q.closed = true
	if on.level < noisy {
		q.orderBy = []int{0}
	}
	return q
}

// nestedQuery draws a query that can stand in parentheses.
func (b *builder) nestedQuery(depth int) query {
	switch b.IntN(8) {
	case 0:
		return b.distinct(depth)
	case 1, 2, 3:
		return b.grouped(depth)
	case 4:
		q := b.sets(depth)
		q.closed = true
		return q
	case 5:
		if q := b.plain(depth); !q.noisy() {
			b.use("order by", "limit")
			q.sql += " ORDER BY " + b.allOrdinals(q, nil) + fmt.Sprintf(" LIMIT %d", 1+b.IntN(30))
			q.rows, q.limited = min(q.rows, 30), true
			return q
		}
	}
	return b.plain(depth)
}

// allOrdinals orders by every column, in any order of them.
func (b *builder) allOrdinals(q query, orderBy *[]int) string {
	var keys []string
	for _, i := range b.Perm(len(q.columns)) {
		keys = append(keys, fmt.Sprintf("%d %s", i+1, b.direction()))
		if orderBy != nil {
			*orderBy = append(*orderBy, i)
		}
	}
	return list(keys)
}

// finish adds ORDER BY and LIMIT where the answer stays the same.
func (b *builder) finish(q query) query {
	n := b.IntN(100)
	switch {
	case n < 30 || len(q.columns) == 0:
		return q
	case q.noisy() || n < 45:
		return b.finishPartly(q)
	case n < 55:
		b.use("order by", "order by all")
		q.sql += " ORDER BY ALL" + b.pick("", " DESC")
		for i := range q.columns {
			q.orderBy = append(q.orderBy, i)
		}
	default:
		b.use("order by")
		q.sql += " ORDER BY " + b.allOrdinals(q, &q.orderBy)
	}
	if b.chance(60) {
		b.use("limit")
		q.sql += fmt.Sprintf(" LIMIT %s", b.pick("1", "3", "10", "10", "10", "25", "25", "100", "100", "1000", "1000", "5", "7", b.pick("0", "2", "4")))
	}
	if b.chance(25) {
		b.use("offset")
		q.sql += fmt.Sprintf(" OFFSET %d", b.IntN(7))
	}
	return q
}

// finishPartly orders by some steady columns; ties may come in any order.
func (b *builder) finishPartly(q query) query {
	var keys []string
	for i, c := range q.columns {
		if c.level < noisy && b.chance(60) {
			key := fmt.Sprint(i + 1)
			if c.ref != "" && b.chance(50) {
				key = c.ref
			}
			keys = append(keys, key+" "+b.direction())
			q.orderBy = append(q.orderBy, i)
		}
	}
	if len(keys) > 0 {
		b.use("order by")
		q.sql += " ORDER BY " + list(keys)
	}
	return q
}

// sets draws a set operation over columns of the same types.
func (b *builder) sets(depth int) query {
	types := make([]typ, 1+b.IntN(3))
	for i := range types {
		types[i] = simple[b.IntN(len(simple))]
	}
	q := b.arm(types, depth)
	for range 1 + b.IntN(2) {
		op := b.pick("union", "union all", "union all", "intersect", "intersect all", "except", "except all", "union by name")
		b.use(op)
		r := b.arm(types, depth)
		q.sql = "(" + q.sql + ") " + strings.ToUpper(op) + " (" + r.sql + ")"
		q.rows += r.rows
	}
	return q
}

// arm draws one side of a set operation.
func (b *builder) arm(types []typ, depth int) query {
	from, s := b.from(depth)
	q := query{rows: s.rows}
	var texts []string
	for _, t := range types {
		texts = append(texts, b.item(&q, b.expr(s, t, 1)))
	}
	q.sql = "SELECT " + b.pick("", "", "DISTINCT ") + list(texts) + " FROM " + from + b.where(s, 60)
	return q
}

// windows draws window functions beside columns.
func (b *builder) windows() query {
	from, s := b.from(1)
	q := query{rows: s.rows}
	texts := b.items(&q, s)
	for range 2 + b.IntN(2) {
		texts = append(texts, b.item(&q, b.window(s)))
	}
	named := ""
	if s.orders() && b.turn%3 == 0 {
		b.use("named window", "row_number", "count(*)", "window aggregate", "partition by")
		texts = append(texts, b.item(&q, expr{"row_number() OVER w", tInt, exact}), b.item(&q, expr{"count(*) OVER w", tInt, exact}))
		named = " WINDOW w AS (PARTITION BY " + b.expr(s, tText, 0).sql + " ORDER BY " + b.total(s) + ")"
	}
	q.sql = "SELECT " + list(texts) + " FROM " + from + b.where(s, 50) + named
	return q
}

func (b *builder) qualify() query {
	from, s := b.from(1)
	q := query{rows: s.rows / 3}
	texts := b.items(&q, s)
	w := b.window(s)
	for w.typ != tInt || w.level == noisy {
		w = b.window(s)
	}
	cond := w.sql
	if b.chance(40) {
		cond = b.alias("q")
		q.columns = append(q.columns, column{cond, w.typ, w.level, ""})
		texts = append(texts, w.sql+" AS "+cond)
	}
	b.use("qualify")
	q.sql = fmt.Sprintf("SELECT %s FROM %s%s QUALIFY %s %s %d", list(texts), from, b.where(s, 40), cond, b.pick("<=", "<", "=", ">="), 1+b.IntN(4))
	return q
}

// common draws a statement over one or two CTEs.
func (b *builder) common() query {
	for range 1 + b.IntN(2) {
		q := b.nestedQuery(1)
		name := b.alias("t")
		b.use("cte")
		if len(b.ctes) > 0 && b.chance(50) {
			from, s := b.reference(b.ctes[0])
			q = query{rows: s.rows}
			q.sql = "SELECT " + list(b.items(&q, s)) + " FROM " + from + b.where(s, 50)
		}
		word := b.pick("", "", "", "MATERIALIZED ", "NOT MATERIALIZED ")
		b.define(name, word, q)
	}
	c := b.ctes[len(b.ctes)-1]
	if b.chance(50) {
		return b.twice(c)
	}
	from, s := b.reference(c)
	if b.chance(40) {
		from, s = b.join(from, s, 0, false)
	}
	q := query{rows: s.rows}
	q.sql = "SELECT " + list(b.items(&q, s)) + " FROM " + from + b.where(s, 60)
	return q
}

// define adds a CTE. One with LIMIT is materialized always: DuckDB 1.5.6 may
// push a join's filter below a LIMIT, which changes its rows.
func (b *builder) define(name, word string, q query) cte {
	if q.limited {
		word = "MATERIALIZED "
	}
	if word != "" {
		b.use("materialized cte")
	}
	c := cte{name, name + " AS " + word + "(" + q.sql + ")", slices.Clone(q.columns), q.rows}
	b.ctes = append(b.ctes, c)
	return c
}

// twice reads a CTE in two places.
func (b *builder) twice(c cte) query {
	b.use("cte twice")
	from, s := b.reference(c)
	q := query{rows: s.rows}
	switch {
	case c.rows < 300 && b.chance(40):
		right, r := b.reference(c)
		on, rows := b.on(s, r)
		b.use("inner join", "self join")
		s = both(s, r, rows)
		from += " JOIN " + right + " ON " + on
	case b.chance(50):
		b.use("union all")
		texts := b.items(&q, s)
		q.sql = fmt.Sprintf("SELECT %s FROM %s UNION ALL SELECT %s FROM %s%s", list(texts), from, list(texts), from, b.where(s, 60))
		return q
	default:
		b.use("scalar subquery", "count(*)", "where")
		q.sql = fmt.Sprintf("SELECT %s FROM %s WHERE %s OR (SELECT count(*) FROM %s) > %d", list(b.items(&q, s)), from, b.cond(s, 1), c.name, b.IntN(40))
		return q
	}
	q.sql = "SELECT " + list(b.items(&q, s)) + " FROM " + from + b.where(s, 60)
	return q
}
