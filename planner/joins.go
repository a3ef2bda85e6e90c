package planner

import (
	"errors"
	"slices"
)

// A table that every fragment would have to read whole, because it is joined by
// another key than the rest, may be joined later instead: one stage joins the
// rest, and its rows meet the table in the next one, both dealt out by the key
// that they have in common. Inner joins may be taken in any order.

// joinedName is what the rows joined first are called in the second stage.
const joinedName = "#j"

// later is a block in two joins.
type later struct {
	b       *block
	first   map[*leaf]bool // joined in the first stage
	carried []source       // columns of those that the second stage needs
	bytes   float64        // guess of what the first stage's rows take
}

// innerJoins are the conditions of a block that joins tables by inner joins
// alone, all of whose names are plain columns.
type innerJoins struct {
	conditions []condition
	pairs      []pair   // of equal columns, both ways
	above      []source // columns that the rest of the block names
	spans      map[source]float64
}

// condition is one of WHERE or of a join, and the columns that it names.
type condition struct {
	n       node
	sources []source
}

// stages makes those of the first join, and then of the rest of the block.
func (p *later) stages(d *divider, columns []Column) (*Stage, error) {
	upper := p.second()
	first, err := d.stageOf(p.firstJoin())
	if err != nil {
		return nil, err
	}
	first.bytes = min(first.bytes, p.bytes)
	d.shared = append(d.shared, &sharedTable{stage: first})
	rows := tableRef(joinedName, "")
	rows["schema_name"], rows[cteIndex] = cteSchema, len(d.shared)-1
	upper["from_table"] = p.joined(false, rows)
	return d.selectQuery(upper, columns)
}

// joinLater makes the stages of a block one of whose tables is joined later;
// nil if that cannot be done after all.
func (d *divider) joinLater(p *later, columns []Column) (*Stage, error) {
	stages, shared := len(d.stages), len(d.shared)
	s, err := d.seen(p.stages(d, columns))
	var o opaque
	if errors.As(err, &o) {
		d.stages, d.shared = d.stages[:stages], d.shared[:shared]
		return nil, nil
	}
	return s, err
}

// bestLater is the table that is best joined later, with what is then joined
// with it alone, and how much that costs less than to read it everywhere.
func (d *divider) bestLater(b *block) (best *later, gain float64) {
	joins := d.innerJoins(b)
	if joins == nil {
		return nil, 0
	}
	n := float64(len(d.catalog.Workers))
	for _, l := range b.leaves {
		if l.use.mode != everything || l.isEverywhere() {
			continue
		}
		p := joins.without(b, l)
		if p == nil {
			continue
		}
		const dealt = sendCost + receiveCost + joinCost
		now := l.bytes()/n*sendCost + l.bytes()*(receiveCost+joinCost)
		then := (l.bytes() + p.bytes) / n * dealt
		if now-then > gain {
			best, gain = p, now-then
		}
	}
	return best, gain
}

// innerJoins are those of a block; nil if it has others, or a name in it is not
// that of a column. They are worked out once.
func (d *divider) innerJoins(b *block) *innerJoins {
	if !b.joinsKnown {
		b.joinsKnown = true
		if d.hasPlainTables(b) && d.expandAliases(b) == nil {
			b.joins = b.readJoins()
		}
	}
	return b.joins
}

// hasPlainTables tells a block of inner joins of tables in which no order is
// meant, and no function whose value changes.
func (d *divider) hasPlainTables(b *block) bool {
	if len(b.leaves) < 3 || len(b.nested) > 0 || !isInnerJoin(b.from) {
		return false
	}
	for _, l := range b.leaves {
		if l.table == nil || l.fixed || l.renamed || l.nullable {
			return false
		}
	}
	conditions := b.conditions()
	if !d.isSteady(conditions) || hasClass(conditions, "LAMBDA", "SUBQUERY", "STAR") {
		return false
	}
	for _, region := range regions {
		if hasClass(b.n[region], "LAMBDA", "SUBQUERY") || hasClass(b.n[region], "STAR") && region != "modifiers" {
			return false
		}
	}
	for _, v := range list(b.n, "modifiers") {
		m, _ := v.(node)
		if len(list(m, "distinct_on_targets")) > 0 {
			return false
		}
	}
	return true
}

func isInnerJoin(from any) bool {
	n, _ := from.(node)
	switch kind(n) {
	case "BASE_TABLE":
		return true
	case "JOIN":
		tp := str(n, "ref_type")
		return str(n, "join_type") == "INNER" && (tp == "REGULAR" || tp == "CROSS") && len(list(n, "using_columns")) == 0 &&
			isInnerJoin(n["left"]) && isInnerJoin(n["right"])
	}
	return false
}

// conditions are those of WHERE and of all joins.
func (b *block) conditions() []any {
	var all []any
	add := func(v any) {
		for _, c := range conjunctsOf(v) {
			all = append(all, c)
		}
	}
	add(b.n["where_clause"])
	joinConditions(b.from, add)
	return all
}

func (b *block) readJoins() *innerJoins {
	j := &innerJoins{spans: map[source]float64{}}
	for _, p := range b.allPairs() {
		j.pairs = append(j.pairs, p, pair{p[1], p[0]})
	}
	for _, v := range b.conditions() {
		c, _ := v.(node)
		sources, ok := b.sourcesOf(c)
		if !ok || len(sources) == 0 {
			return nil
		}
		j.conditions = append(j.conditions, condition{c, sources})
	}
	for _, region := range regions {
		if region == "where_clause" {
			continue
		}
		sources, ok := b.sourcesOf(b.n[region])
		if !ok {
			return nil
		}
		j.above = append(j.above, sources...)
	}
	return j
}

// sourcesOf are the stored columns that an expression names; false if it names
// something else.
func (b *block) sourcesOf(v any) (all []source, ok bool) {
	ok = true
	references(v, func(ref node) {
		r, known := b.names.lookup(list(ref, "column_names"))
		if !known || r.field == nil || r.within != b.names || r.field.from.leaf == nil {
			ok = false
			return
		}
		all = append(all, r.field.from)
	})
	return all, ok
}

// without is the block with a table joined later: with those that only it is
// joined with. It is nil if the rest does not hold together, or what lies in
// parts is not all in it, or nothing is known of how many rows it has.
func (j *innerJoins) without(b *block, last *leaf) *later {
	var base *leaf
	for _, l := range b.leaves {
		if l.use.mode != everything && (base == nil || l.unreduced() > base.unreduced()) {
			base = l
		}
	}
	if base == nil {
		return nil
	}
	p := &later{b: b, first: map[*leaf]bool{base: true}}
	for grown := true; grown; {
		grown = false
		for _, c := range j.conditions {
			if !c.names(last) && c.namesOneOf(p.first) {
				for _, s := range c.sources {
					grown = grown || !p.first[s.leaf]
					p.first[s.leaf] = true
				}
			}
		}
	}
	for _, l := range b.leaves {
		if l.use.mode != everything && !p.first[l] {
			return nil
		}
	}
	share, ok := j.fan(p.first, base)
	if !ok || !slices.ContainsFunc(j.pairs, func(q pair) bool { return q[0].leaf == last && p.first[q[1].leaf] }) {
		return nil
	}
	for _, c := range j.conditions {
		if !c.isOf(p.first) {
			p.carry(c.sources)
		}
	}
	p.carry(j.above)
	p.bytes = float64(base.work) * share * width(p.columns()) / width(base.table.Columns)
	return p
}

func (c condition) names(l *leaf) bool {
	return slices.ContainsFunc(c.sources, func(s source) bool { return s.leaf == l })
}

func (c condition) namesOneOf(some map[*leaf]bool) bool {
	return slices.ContainsFunc(c.sources, func(s source) bool { return some[s.leaf] })
}

func (c condition) isOf(some map[*leaf]bool) bool {
	return !slices.ContainsFunc(c.sources, func(s source) bool { return !some[s.leaf] })
}

// carry notes the columns among the given that the second stage needs of the
// first.
func (p *later) carry(sources []source) {
	for _, s := range sources {
		if p.first[s.leaf] && !slices.Contains(p.carried, s) {
			p.carried = append(p.carried, s)
		}
	}
}

// fan guesses how many rows the join of some leaves has for each of a table of
// them. It fails where nothing is known of how many rows of another table meet
// one.
func (j *innerJoins) fan(some map[*leaf]bool, base *leaf) (float64, bool) {
	share := filtered(1, base)
	joined := map[*leaf]bool{base: true}
	for len(joined) < len(some) {
		var next *leaf
		least := 0.0
		for _, q := range j.pairs {
			if l := q[1].leaf; joined[q[0].leaf] && some[l] && !joined[l] {
				if f, ok := j.partners(q); ok && (next == nil || f < least) {
					next, least = l, f
				}
			}
		}
		if next == nil {
			return 0, false
		}
		joined[next] = true
		share *= filtered(least, next)
	}
	return share, true
}

func filtered(rows float64, l *leaf) float64 {
	for _, f := range l.filters {
		rows *= selectivity(f)
	}
	return rows
}

// keysSpread is how many values there may be between the bounds of a key for
// each row, if the key is to be one that counts rows.
const keysSpread = 16

// partners guesses how many rows of the second column's table are equal to one
// of the first's, as if each number between the bounds were as frequent. Where
// these are far apart a few of them may be all that there are.
func (j *innerJoins) partners(p pair) (float64, bool) {
	s := p[1]
	if _, ok := j.spans[s]; !ok {
		j.spans[s] = s.span()
	}
	s.leaf.size()
	rows := float64(s.leaf.rows)
	return rows / j.spans[s], j.spans[s] > 0 && j.spans[s] <= keysSpread*rows
}

// span is how many values a column of whole numbers may have, by its bounds; 0
// where they are not known.
func (s source) span() float64 {
	bounds := s.bounds()
	if bounds == nil || s.leaf.types[s.name] == "VARCHAR" || len(s.leaf.files) > cutFilesMax {
		return 0
	}
	var least, greatest value
	for i := range s.leaf.files {
		low, high, some := bounds(&s.leaf.files[i])
		switch {
		case !some:
			continue
		case low.kind != numberKind || high.kind != numberKind:
			return 0
		case least.kind == unknownKind:
			least, greatest = low, high
			continue
		}
		if less(low, least) {
			least = low
		}
		if less(greatest, high) {
			greatest = high
		}
	}
	if least.kind == unknownKind {
		return 0
	}
	return greatest.float - least.float + 1
}

func (p *later) columns() []Column {
	var all []Column
	for _, s := range p.carried {
		all = append(all, Column{Name: s.name, Type: s.leaf.types[s.name]})
	}
	return all
}

// firstJoin is the SELECT of the first stage.
func (p *later) firstJoin() node {
	items := make([]any, len(p.carried))
	for i, s := range p.carried {
		items[i] = as(column(str(s.leaf.node, "alias"), s.name), stored(i))
	}
	n := selectNode(items, p.joined(true))
	n["where_clause"] = p.where(true)
	return n
}

// second is the block over the first stage's rows, but for its FROM.
func (p *later) second() node {
	n, _ := clone(p.b.n).(node)
	n["from_table"], n["where_clause"] = nil, p.where(false)
	for _, region := range regions {
		references(n[region], func(ref node) {
			r, ok := p.b.names.lookup(list(ref, "column_names"))
			if ok && r.field != nil && p.first[r.field.from.leaf] {
				ref["column_names"] = append([]any{joinedName, stored(slices.Index(p.carried, r.field.from))}, r.rest...)
			}
		})
	}
	unmark(n)
	return n
}

// where are the conditions of one of the two stages.
func (p *later) where(first bool) any {
	var some []node
	for _, c := range p.b.joins.conditions {
		if c.isOf(p.first) == first {
			n, _ := clone(c.n).(node)
			unmark(n)
			some = append(some, n)
		}
	}
	return and(some)
}

// joined is the product of the tables of one of the two stages, after what is
// given.
func (p *later) joined(first bool, from ...node) node {
	for _, l := range p.b.leaves {
		if p.first[l] == first {
			n, _ := clone(l.node).(node)
			unmark(n)
			from = append(from, n)
		}
	}
	all := from[0]
	for _, n := range from[1:] {
		all = node{"type": "JOIN", "alias": "", "sample": nil, "query_location": nowhere, "left": all, "right": n, "condition": nil,
			"join_type": "INNER", "ref_type": "CROSS", "using_columns": []any{}, "delim_flipped": false, "duplicate_eliminated_columns": []any{}}
	}
	return all
}

// unmark takes off what the planner noted in a tree, so that it may be planned
// anew.
func unmark(tree node) {
	walk(tree, func(n node) bool {
		delete(n, mark)
		return true
	})
}
