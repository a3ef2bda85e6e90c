package planner

import (
	"strings"
)

// everywhereBytes is how large a table may be that each fragment reads by
// itself. A larger one is read once, in shares, and sent around.
const everywhereBytes = 512 << 10

// everywhereFiles bounds the files of such a table.
const everywhereFiles = 4

// distribute decides how the block's leaves are read: the cheapest way in
// which the block's rows are its fragments' rows put together. It may be cheaper
// yet to join one of them later.
func (d *divider) distribute(b *block) (spread, *later, error) {
	var best []use
	var last *later
	least := 0.0
	try := func(set func(*leaf)) {
		for _, l := range b.leaves {
			l.use = use{}
			if !l.fixed {
				set(l)
			}
		}
		s := b.rows(nil)
		if s.bad || !s.part {
			return
		}
		b.reductions()
		p, gain := d.bestLater(b)
		if c := d.cost(b) + d.costOfGroups(b, s) - gain; best == nil || c < least {
			least, best, last = c, b.uses(), p
		}
	}
	for _, l := range b.leaves {
		try(func(other *leaf) {
			if other == l {
				other.use.mode = driven
			}
		})
	}
	for _, class := range b.classes() {
		for _, small := range []float64{0, 0.1} {
			try(func(l *leaf) { l.join(class, small*d.largest(b), nil) })
		}
	}
	for _, class := range append(b.classes(), b.groupClasses()...) {
		if c := d.cutsOf(b, class); c != nil {
			try(func(l *leaf) { l.join(class, 0, c) })
			try(func(l *leaf) {
				if c.inPlace[l] != nil {
					l.join(class, 0, c)
				}
			})
		}
	}
	if best == nil {
		return spread{}, nil, opaque("rows that cannot be told apart by file or by key")
	}
	for i, l := range b.leaves {
		l.use = best[i]
	}
	b.reductions()
	return b.rows(nil), last, nil
}

func (b *block) uses() []use {
	uses := make([]use, len(b.leaves))
	for i, l := range b.leaves {
		uses[i] = l.use
	}
	return uses
}

// join makes the leaf one of those that are partitioned by the class, by hash
// or by cuts, if it has a column of it and more bytes than small.
func (l *leaf) join(class map[source]bool, small float64, c *cuts) {
	if s, ok := l.memberOf(class); ok && l.bytes() > small {
		l.use = use{mode: shared, keys: []string{s.name}, cuts: c}
	}
}

// groupClasses are the columns that the block's rows are grouped by, each with
// those that are equal to it.
func (b *block) groupClasses() []map[source]bool {
	if len(list(b.n, "group_sets")) != 1 {
		return nil
	}
	var classes []map[source]bool
	for _, v := range list(b.n, "group_expressions") {
		n, _ := v.(node)
		if from := b.sourceOf(n); from.leaf != nil {
			classes = append(classes, closure(map[source]bool{from: true}, b.allPairs()))
		}
	}
	return classes
}

// classes are the sets of columns that conditions of the block make equal.
func (b *block) classes() []map[source]bool {
	var classes []map[source]bool
	for _, p := range b.allPairs() {
		class := closure(map[source]bool{p[0]: true}, b.allPairs())
		known := false
		for _, c := range classes {
			known = known || c[p[0]]
		}
		if !known {
			classes = append(classes, class)
		}
	}
	return classes
}

// allPairs are the pairs of all joins and conditions in the block and those
// within it, wherever they hold.
func (b *block) allPairs() []pair {
	all := b.pairs(conjunctsOf(b.n["where_clause"]))
	var from func(any)
	from = func(v any) {
		n, _ := v.(node)
		switch kind(n) {
		case "JOIN":
			from(n["left"])
			from(n["right"])
			all = append(all, b.joinPairs(n)...)
		case "SUBQUERY":
			if in, ok := child(n, "subquery")[mark].(*block); ok {
				all = append(all, in.allPairs()...)
			}
		}
	}
	from(b.from)
	for _, in := range b.nested {
		all = append(all, in.allPairs()...)
	}
	return all
}

// The cost of a way to run a block is the bytes that one worker handles: what
// it reads in place counts once, what is sent between workers more.
const (
	receiveCost = 3.0  // to take rows in and keep them for the fragment
	sendCost    = 3.0  // to keep rows, deal them out and send them
	joinCost    = 1.0  // to have them in a hash table
	cutCost     = 1.02 // to read a table by ranges: its files cannot be left out by what others hold
	probeCost   = 0.5  // to look all rows of a table up among those of a smaller one
)

// groupShare guesses how much less groups are than the rows that they are of.
const groupShare = 0.2

func (d *divider) cost(b *block) float64 {
	n := float64(len(d.catalog.Workers))
	total := 0.0
	for _, l := range b.leaves {
		read, moved := l.unreduced()/n+float64(l.probes)*probeCost*l.unfiltered()/n, l.bytes()
		switch l.use.mode {
		case driven:
			total += read
		case shared:
			if l.isCut() {
				total += read * l.use.cuts.excess[l] * cutCost
				continue
			}
			total += read + moved/n*(sendCost+receiveCost+joinCost)
		case everything:
			if l.isEverywhere() {
				total += moved
				continue
			}
			total += read + moved/n*sendCost + moved*(receiveCost+joinCost)
		}
	}
	return total
}

// costOfGroups is what it costs to put groups together that lie over several
// fragments.
func (d *divider) costOfGroups(b *block, s spread) float64 {
	if len(list(b.n, "group_expressions")) == 0 {
		return 0
	}
	for _, v := range list(b.n, "group_expressions") {
		n, _ := v.(node)
		if from := b.sourceOf(n); from.leaf != nil && s.keys[from] {
			return 0
		}
	}
	return groupShare * d.largest(b) / float64(len(d.catalog.Workers)) * (sendCost + receiveCost)
}

func (d *divider) largest(b *block) float64 {
	most := 0.0
	for _, l := range b.leaves {
		most = max(most, l.bytes())
	}
	return most
}

// isEverywhere tells a table that is so small that each fragment reads it.
func (l *leaf) isEverywhere() bool {
	if l.table == nil {
		return false
	}
	bytes, _ := l.size()
	return bytes <= everywhereBytes && len(l.files) <= everywhereFiles
}

// size is the bytes of the leaf's files, and the work that they are. There may
// be a million of them, so they are looked at once.
func (l *leaf) size() (bytes, work int64) {
	if l.work == 0 {
		for i := range l.files {
			l.raw += l.files[i].Bytes
			l.rows += l.files[i].Rows
			l.work += weight(l.files[i])
		}
	}
	return l.raw, l.work
}

// bytes guesses what the leaf's columns and filters leave of its files.
func (l *leaf) bytes() float64 {
	if l.stage != nil {
		return l.stage.bytes
	}
	return l.unreduced() * l.reduction
}

// unreduced is the same of a table before other leaves reduce it.
func (l *leaf) unreduced() float64 {
	bytes := l.unfiltered()
	for _, f := range l.filters {
		bytes *= selectivity(f)
	}
	return bytes
}

// unfiltered is the same of all its rows.
func (l *leaf) unfiltered() float64 {
	if l.stage != nil {
		return l.stage.bytes
	}
	_, weight := l.size()
	return float64(weight) * l.share
}

// selectivity guesses which part of the rows a condition leaves.
func selectivity(n node) float64 {
	switch kind(n) {
	case "COMPARE_EQUAL":
		return 0.1
	case "COMPARE_IN":
		return 0.2
	case "COMPARE_NOTEQUAL", "OPERATOR_NOT", "COMPARE_NOT_IN":
		return 0.9
	case "COMPARE_BETWEEN":
		return 0.2
	case "FUNCTION":
		return 0.2
	}
	return 0.4
}

// columnShare guesses which part of a table's bytes some of its columns are.
func columnShare(t *Table, some []Column) float64 {
	return max(width(some)/width(t.Columns), 0.01)
}

func width(columns []Column) float64 {
	w := 0.0
	for _, c := range columns {
		w += 8
		if strings.HasPrefix(c.Type, "VARCHAR") || strings.Contains(c.Type, "[") || strings.HasPrefix(c.Type, "STRUCT") {
			w += 12
		}
	}
	return w
}
