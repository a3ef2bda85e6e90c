package sqlgen

import "fmt"

// withColumn draws a table that has the column; ok is false if none has.
func (b *builder) withColumn(name string) (Table, bool) {
	var found []Table
	for _, t := range b.tables {
		for _, c := range t.Columns {
			if c.Name == name {
				found = append(found, t)
			}
		}
	}
	if len(found) == 0 {
		return Table{}, false
	}
	return found[b.IntN(len(found))], true
}

// is notes the output columns of a statement that is written out.
func is(sql string, types ...typ) query {
	q := query{sql: sql, rows: 50}
	for _, t := range types {
		q.columns = append(q.columns, column{"", t, exact, ""})
	}
	return q
}

// unnests draws unnest and LATERAL.
func (b *builder) unnests() query {
	name, t := "tags", tInt
	if b.chance(50) {
		name, t = "names", tText
	}
	table, ok := b.withColumn(name)
	if !ok {
		return b.laterals()
	}
	s := b.columnsOf(table, "a.")
	switch b.turn % 6 {
	case 0:
		b.use("unnest in select")
		return is(fmt.Sprintf("SELECT id, unnest(%s) AS e FROM %s AS a%s", name, table.Name, b.where(s, 40)), tInt, t)
	case 1:
		b.use("unnest", "column aliases")
		return is(fmt.Sprintf("SELECT a.id, u.e, %s FROM %s AS a, unnest(a.%s) AS u(e)%s", b.expr(s, tText, 1).sql, table.Name, name, b.where(s, 40)), tInt, t, tText)
	case 2:
		b.use("unnest in select", "derived table", "group by", "count(*)")
		return is(fmt.Sprintf("SELECT e, count(*), min(id) FROM (SELECT id, unnest(%s) AS e FROM %s) AS u GROUP BY e", name, table.Name), t, tInt, tInt)
	case 3:
		b.use("unnest", "left join", "column aliases", "group by", "count")
		return is(fmt.Sprintf("SELECT a.g, count(u.e), count(DISTINCT u.e) FROM %s AS a LEFT JOIN LATERAL unnest(a.%s) AS u(e) ON true GROUP BY a.g", table.Name, name), tText, tInt, tInt)
	}
	return b.laterals()
}

func (b *builder) laterals() query {
	from, s := b.base(b.table(), b.alias("a"))
	b.use("lateral")
	x := b.expr(s, tInt, 1).sql
	id := s.key[0]
	switch b.IntN(3) {
	case 0:
		return is(fmt.Sprintf("SELECT %s, l.z FROM %s, LATERAL (SELECT (%s)::BIGINT + 1 AS z) AS l WHERE l.z > %s", id, from, x, b.literal(tInt)), tInt, tInt)
	case 1:
		b.use("correlated subquery", "count(*)", "max")
		return is(fmt.Sprintf("SELECT %s, l.n, l.m FROM %s, LATERAL (SELECT count(*) AS n, max(p.num) AS m FROM people AS p WHERE p.k = %s) AS l%s", id, from, x, b.where(s, 40)), tInt, tInt, tInt)
	}
	b.use("correlated subquery", "left join", "order by", "limit")
	return is(fmt.Sprintf("SELECT %s, l.num FROM %s LEFT JOIN LATERAL (SELECT i.num FROM items AS i WHERE i.id <= %s ORDER BY i.id DESC LIMIT 2) AS l ON true", id, from, x), tInt, tInt)
}

// decided draws aggregates whose answer is one only because of the rows.
func (b *builder) decided() query {
	t := b.tables[b.IntN(2)].Name
	b.use("mode")
	switch b.turn % 3 {
	case 0:
		return is(fmt.Sprintf("SELECT mode(k) AS m, count(*) AS n FROM %s", t), tInt, tInt)
	case 1:
		b.use("group by", "group by alias")
		return is(fmt.Sprintf("SELECT id %% 2 AS b, mode(k) AS m FROM %s GROUP BY b", t), tInt, tInt)
	}
	b.use("group by", "inner join", "derived table", "distinct", "any_value", "dense_rank", "no partition")
	return is(fmt.Sprintf("SELECT d.g, mode(d.v) AS m, any_value(d.g) AS a FROM (SELECT DISTINCT g, num AS v, dense_rank() OVER (ORDER BY num) AS w FROM %s WHERE num IS NOT NULL) AS d JOIN events AS e ON e.id <= d.w GROUP BY d.g", t), tText, tInt, tText)
}

// stars draws * in its forms.
func (b *builder) stars() query {
	t := b.table()
	a := b.alias("a")
	from, s := b.base(t, a)
	if s.key[0] != a+".id" {
		from, s = t.Name+" "+a, b.columnsOf(t, a+".")
	}
	q := query{rows: s.rows}
	all := func(columns []column) {
		for _, c := range columns {
			q.columns = append(q.columns, column{"", c.typ, c.level, ""})
		}
	}
	where := b.where(s, 60)
	switch b.turn % 6 {
	case 0:
		b.use("star exclude")
		q.sql = fmt.Sprintf("SELECT * EXCLUDE (id, g) FROM %s%s", from, where)
		all(append(s.columns[1:2:2], s.columns[3:]...))
	case 1:
		b.use("star replace")
		q.sql = fmt.Sprintf("SELECT * REPLACE (%s AS k, upper(g) AS g) FROM %s%s", b.long(s, 1), from, where)
		all(s.columns)
	case 2:
		b.use("qualified star", "inner join")
		q.sql = fmt.Sprintf("SELECT %s.*, codes.txt AS code FROM %s JOIN codes ON codes.id = %s.k%s", a, from, a, where)
		all(append(s.columns[:len(s.columns):len(s.columns)], column{"", tText, exact, ""}))
	case 3:
		b.use("columns()")
		q.sql = fmt.Sprintf("SELECT COLUMNS('^(id|k|g|num)$') FROM %s%s", from, where)
		all([]column{{"", tInt, exact, ""}, {"", tInt, exact, ""}, {"", tText, exact, ""}, {"", tInt, exact, ""}})
	case 4:
		b.use("columns()", "max")
		q.sql = fmt.Sprintf("SELECT max(COLUMNS(* EXCLUDE (g))) FROM %s%s", from, where)
		q.closed = true
	default:
		b.use("star")
		q.sql = fmt.Sprintf("SELECT * FROM %s%s", from, where)
		all(s.columns)
	}
	return q
}

// names draws what aliases may do in DuckDB.
func (b *builder) names() query {
	t := b.table()
	s := b.columnsOf(t, "")
	x := b.expr(s, tInt, 1).sql
	switch b.turn % 7 {
	case 0, 1:
		b.use("lateral alias")
		return is(fmt.Sprintf("SELECT id, (%s)::BIGINT + 1 AS x, x * 2 AS y, y - x AS z FROM %s%s", x, t.Name, b.where(s, 50)), tInt, tInt, tInt, tInt)
	case 2:
		b.use("shadowing alias", "where")
		q := is(fmt.Sprintf("SELECT id, -k AS k, num + 1 AS num FROM %s WHERE k > %d ORDER BY k, num, id", t.Name, b.IntN(6)), tInt, tInt, tInt)
		b.use("order by")
		q.closed, q.orderBy = true, []int{1, 2, 0}
		return q
	case 3:
		b.use("shadowing alias", "group by", "count(*)")
		return is(fmt.Sprintf("SELECT k %% 3 AS k, count(*) AS n FROM %s GROUP BY k", t.Name), tInt, tInt)
	case 4:
		b.use("alias in where", "where")
		return is(fmt.Sprintf("SELECT id, (%s)::BIGINT + 2 AS z FROM %s WHERE z > %d AND z < 40", x, t.Name, b.IntN(9)), tInt, tInt)
	case 5:
		b.use("alias in where", "having", "group by", "count(*)")
		return is(fmt.Sprintf("SELECT g, count(*) AS n FROM %s GROUP BY g HAVING n > %d", t.Name, b.IntN(20)), tText, tInt)
	}
	b.use("table name as alias", "inner join")
	return is("SELECT people.id, items.id, people.txt FROM items AS people JOIN people AS items ON people.k = items.id", tInt, tInt, tText)
}

// shapes are the kinds of statements, as often as they are wanted.
var shapes = []func(b *builder) query{
	func(b *builder) query { return b.plain(1) },
	func(b *builder) query { return b.grouped(1) },
	func(b *builder) query { return b.windows() },
	func(b *builder) query { return b.sets(1) },
	func(b *builder) query { return b.common() },
	func(b *builder) query { return b.grouped(1) },
	func(b *builder) query { return b.stars() },
	func(b *builder) query { return b.groupingSets() },
	func(b *builder) query { return b.plain(2) },
	func(b *builder) query { return b.distinct(1) },
	func(b *builder) query { return b.grouped(2) },
	func(b *builder) query { return b.qualify() },
	func(b *builder) query { return b.names() },
	func(b *builder) query { return b.unnests() },
	func(b *builder) query { return b.plain(1) },
	func(b *builder) query { return b.grouped(1) },
	func(b *builder) query { return b.distinctOn() },
	func(b *builder) query { return b.windowOverGroups() },
	func(b *builder) query { return b.grouped(0) },
	func(b *builder) query { return b.decided() },
	func(b *builder) query { return b.filtered() },
}

// filtered draws one table with a subquery in WHERE.
func (b *builder) filtered() query {
	from, s := b.single(0)
	q := query{rows: s.rows}
	texts := b.items(&q, s)
	sub, ok := b.subqueryCond(s)
	if !ok {
		sub = b.cond(s, 2)
	}
	b.use("where")
	q.sql = "SELECT " + list(texts) + " FROM " + from + " WHERE " + sub
	if b.chance(40) {
		b.use("and")
		q.sql += " AND " + b.cond(s, 1)
	}
	return q
}
