package sqlgen

import (
	"fmt"
	"slices"
	"strings"
)

const (
	rowsMax  = 30_000 // of a join, as guessed
	joinsMax = 3
)

// from draws a FROM clause, without the word.
func (b *builder) from(depth int) (string, *scope) {
	if b.chance(45) {
		return b.single(depth)
	}
	left, s := b.relation(depth)
	joins := 1
	for joins < joinsMax && b.chance(35) {
		joins++
	}
	for i := range joins {
		left, s = b.join(left, s, depth, i == 0 && joins == 1)
	}
	return left, s
}

// single is one relation whose columns need no alias.
func (b *builder) single(depth int) (string, *scope) {
	if depth > 0 && b.chance(30) {
		return b.relation(depth)
	}
	t := b.table()
	if b.nested > 0 || b.chance(50) {
		return b.base(t, b.alias("a"))
	}
	s := b.columnsOf(t, "")
	if b.chance(30) {
		s = b.columnsOf(t, t.Name+".")
	}
	return t.Name, s
}

// table draws one; the large ones more often.
func (b *builder) table() Table {
	switch n := b.IntN(100); {
	case n < 45:
		return b.tables[0]
	case n < 75:
		return b.tables[1]
	case n < 87:
		return b.tables[2]
	case n < 91:
		return b.tables[3]
	}
	return b.tables[4]
}

func (b *builder) base(t Table, alias string) (string, *scope) {
	if b.chance(10) {
		b.use("quoted name")
		alias = `"` + strings.ToUpper(alias[:1]) + ` ` + alias[1:] + `"`
	}
	return t.Name + b.pick(" AS ", " ") + alias, b.columnsOf(t, alias+".")
}

// columnsOf is a table's scope with a prefix before each name.
func (b *builder) columnsOf(t Table, prefix string) *scope {
	source := prefix
	if prefix == "" {
		source = t.Name
	}
	s := &scope{ids: map[string]string{source: prefix + "id"}, key: []string{prefix + "id"}, unique: true}
	for _, p := range t.Parts {
		s.rows += len(p.Rows)
	}
	for _, c := range t.Columns {
		s.columns = append(s.columns, column{prefix + c.Name, c.typ, exact, source})
	}
	return s
}

// relation draws a table, a derived table, a CTE or VALUES, with an alias.
func (b *builder) relation(depth int) (string, *scope) {
	n := b.IntN(100)
	switch {
	case depth > 0 && n < 30:
		b.use("derived table")
		return b.derived(b.nestedQuery(depth - 1))
	case len(b.ctes) > 0 && n < 45:
		return b.reference(b.ctes[b.IntN(len(b.ctes))])
	case n > 96:
		b.use("values", "column aliases")
		a := b.alias("v")
		s := &scope{rows: 3, columns: []column{{a + ".x", tInt, exact, ""}, {a + ".y", tText, exact, ""}}}
		s.key = refs(s.columns)
		return fmt.Sprintf("(VALUES (1, 'a'), (%s, %s), (NULL, 'b')) AS %s(x, y)", b.literal(tInt), b.literal(tText), a), s
	}
	return b.base(b.table(), b.alias("a"))
}

// derived names a query's columns anew, sometimes in the alias.
func (b *builder) derived(q query) (string, *scope) {
	if q.limited {
		b.use("cte")
		return b.reference(b.define(b.alias("t"), "", q))
	}
	a := b.alias("d")
	sql := "(" + q.sql + ") AS " + a
	columns := q.columns
	if b.chance(25) {
		b.use("column aliases")
		names := make([]string, len(columns))
		columns = make([]column, len(columns))
		for i, c := range q.columns {
			names[i] = fmt.Sprintf("n%d", i+1)
			columns[i] = column{names[i], c.typ, c.level, ""}
		}
		sql += "(" + list(names) + ")"
	}
	return sql, scopeOf(columns, a, q.rows)
}

// reference reads a CTE.
func (b *builder) reference(c cte) (string, *scope) {
	a := b.alias("r")
	return c.name + " AS " + a, scopeOf(c.columns, a, c.rows)
}

func scopeOf(columns []column, alias string, rows int) *scope {
	s := &scope{rows: rows}
	for _, c := range columns {
		s.columns = append(s.columns, column{alias + "." + c.ref, c.typ, c.level, ""})
	}
	if len(s.steady()) == len(columns) {
		s.key = refs(s.columns)
	}
	return s
}

func refs(columns []column) []string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.ref
	}
	return names
}

// both joins two scopes.
func both(l, r *scope, rows int) *scope {
	s := &scope{rows: rows, ids: map[string]string{}}
	s.columns = append(append(s.columns, l.columns...), r.columns...)
	if len(l.key) > 0 && len(r.key) > 0 {
		s.key = append(append(s.key, l.key...), r.key...)
		s.unique = l.unique && r.unique
	}
	for _, side := range []*scope{l, r} {
		for a, id := range side.ids {
			s.ids[a] = id
		}
	}
	return s
}

// join adds a relation. Only the first of one join may use USING or NATURAL,
// whose merged names would be ambiguous later.
func (b *builder) join(left string, l *scope, depth int, only bool) (string, *scope) {
	if b.chance(7) {
		return b.asof(left, l)
	}
	if only && b.chance(20) {
		return b.merged()
	}
	right, r := b.relation(depth)
	if r.rows*l.rows > 4_000 && l.rows > 500 {
		right, r = b.base(b.tables[2+2*b.IntN(2)], b.alias("a"))
	}
	if l.rows*r.rows <= 2_500 && b.chance(12) {
		b.use("cross join")
		return left + " CROSS JOIN " + right, both(l, r, l.rows*r.rows)
	}
	on, rows := b.on(l, r)
	kind := b.pick("inner join", "inner join", "inner join", "left join", "left join", "right join", "full join", "semi join", "anti join")
	words := map[string]string{
		"inner join": b.pick(" JOIN ", " INNER JOIN "), "left join": b.pick(" LEFT JOIN ", " LEFT OUTER JOIN "), "right join": " RIGHT JOIN ",
		"full join": b.pick(" FULL JOIN ", " FULL OUTER JOIN "), "semi join": " SEMI JOIN ", "anti join": " ANTI JOIN ",
	}
	merged := both(l, r, rows)
	if (kind == "inner join" || kind == "left join") && b.chance(25) {
		on += " AND " + b.cond(merged, 1)
	} else if kind == "inner join" && l.rows*r.rows < rowsMax && b.chance(15) {
		b.use("non-equi join")
		on = b.cond(merged, 0) + " AND " + b.expr(l, tInt, 0).sql + " " + b.pick("<", ">=", "<>") + " " + b.expr(r, tInt, 0).sql
	}
	b.use(kind)
	sql := left + words[kind] + right + " ON " + on
	if kind == "semi join" || kind == "anti join" {
		l.rows = max(1, l.rows/2)
		return sql, l
	}
	return sql, merged
}

// on draws an equality and guesses how many rows it leaves.
func (b *builder) on(l, r *scope) (string, int) {
	if b.chance(50) {
		if x, y, ok := b.namesakes(l, r); ok && l.rows*r.rows/8 < rowsMax {
			return equal(b, x, y), l.rows * r.rows / 8
		}
	}
	for range 5 {
		t := simple[b.IntN(len(simple))]
		x, ok := b.column(l, t)
		y, also := b.column(r, t)
		if ok && also && t != tBool && l.rows*r.rows/6 < rowsMax && b.chance(50) {
			return equal(b, x.ref, y.ref), l.rows * r.rows / 6
		}
	}
	for _, id := range r.ids {
		return equal(b, b.expr(l, tInt, 0).sql, id), l.rows
	}
	if l.rows*r.rows/2 > rowsMax {
		return equal(b, b.expr(l, tInt, 0).sql, b.expr(r, tInt, 0).sql) + " AND " + b.cond(l, 0) + " AND " + b.cond(r, 0), l.rows
	}
	return equal(b, b.expr(l, tInt, 0).sql, b.expr(r, tInt, 0).sql), l.rows * r.rows / 4
}

// namesakes draws columns of both sides that have many values in common.
func (b *builder) namesakes(l, r *scope) (x, y string, ok bool) {
	find := func(s *scope, ends ...string) string {
		for _, i := range b.Perm(len(s.columns)) {
			if slices.ContainsFunc(ends, func(e string) bool { return strings.HasSuffix(s.columns[i].ref, e) }) {
				return s.columns[i].ref
			}
		}
		return ""
	}
	if b.chance(20) {
		x, y = find(l, ".g"), find(r, ".g")
	} else {
		x, y = find(l, ".k", ".id"), find(r, ".k", ".id")
	}
	return x, y, x != "" && y != ""
}

func equal(b *builder, x, y string) string {
	switch b.IntN(8) {
	case 0:
		return y + " = " + x
	case 1:
		b.use("is distinct from")
		return x + " IS NOT DISTINCT FROM " + y
	}
	return x + " = " + y
}

// asof joins with rows of one table of which each has its own time. The left
// side has no NULL: DuckDB 1.5 finds partners for NULL in one of its two ways
// to run such a join, and which one it takes depends on the number of rows.
func (b *builder) asof(left string, l *scope) (string, *scope) {
	since, ok := b.column(l, tInt)
	if !ok {
		right, r := b.relation(0)
		on, rows := b.on(l, r)
		b.use("inner join")
		return left + " JOIN " + right + " ON " + on, both(l, r, rows)
	}
	kind := b.pick("asof join", "asof left join")
	b.use(kind)
	words := map[string]string{"asof join": " ASOF JOIN ", "asof left join": " ASOF LEFT JOIN "}[kind]
	if x, ok := b.column(l, tStamp); ok && b.chance(60) {
		a := b.alias("d")
		s := scopeOf([]column{{"k", tInt, exact, ""}, {"ts", tStamp, exact, ""}, {"top", tInt, exact, ""}}, a, 20)
		t := b.tables[b.IntN(2)].Name
		sql := fmt.Sprintf("(SELECT k, ts, max(id) AS top FROM %s WHERE ts IS NOT NULL GROUP BY k, ts) AS %s", t, a)
		return fmt.Sprintf("%s%s%s ON %s = %s.k AND coalesce(%s, TIMESTAMP '1900-01-01') %s %s.ts", left, words, sql, b.expr(l, tInt, 0).sql, a, x.ref, b.pick(">=", ">", "<=", "<"), a), both(l, s, l.rows)
	}
	right, r := b.base(b.tables[b.IntN(3)], b.alias("a"))
	on := "coalesce(" + since.ref + ", -1)" + b.pick(" >= ", " <= ", " > ") + r.key[0]
	if b.chance(70) {
		on = b.expr(l, tText, 0).sql + " = " + b.expr(r, tText, 0).sql + " AND " + on
	}
	return left + words + right + " ON " + on, both(l, r, l.rows)
}

// merged is a join by USING or NATURAL.
func (b *builder) merged() (string, *scope) {
	t, u := b.tables[b.IntN(2)], b.tables[1+b.IntN(4)]
	if t.Name == u.Name {
		b.use("self join")
	}
	side := b.pick("", "LEFT ", "RIGHT ", "FULL ")
	if b.chance(40) {
		b.use("natural join", "derived table")
		x, y := b.alias("d"), b.alias("d")
		sql := fmt.Sprintf("(SELECT id, k, num AS m FROM %s) AS %s NATURAL %sJOIN (SELECT id, dbl AS e FROM %s) AS %s", t.Name, x, side, u.Name, y)
		s := &scope{rows: 200, key: []string{"id", "k", "m", "e"}, columns: []column{{"id", tInt, exact, ""}, {"k", tInt, exact, ""}, {"m", tInt, exact, ""}, {"e", tDouble, exact, ""}}}
		return sql, s
	}
	b.use("using")
	x, y := b.alias("a"), b.alias("a")
	names := b.pick("k", "k, g", "id", "num")
	left, right := b.columnsOf(t, x+"."), b.columnsOf(u, y+".")
	s := both(left, right, left.rows*max(right.rows, 1)/6)
	for _, name := range strings.Split(names, ", ") {
		typ := tInt
		if name == "g" {
			typ = tText
		}
		s.columns = append(s.columns, column{name, typ, exact, ""}, column{name, typ, exact, ""})
	}
	return fmt.Sprintf("%s AS %s %sJOIN %s AS %s USING (%s)", t.Name, x, side, u.Name, y, names), s
}
