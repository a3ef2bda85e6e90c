package planner

import "strings"

// A block can be divided when its rows are the rows of its parts put together:
// each fragment sees some leaves whole and a part of the others. This file
// says when that holds. The rows of an inner join are linear in each side; an
// outer join keeps a row of its outer side once only if it is with all its
// partners or has none anywhere; what is partitioned by a key meets only what
// is equal in that key.

// spread is how the rows of a relation lie over the fragments.
type spread struct {
	bad    bool            // the fragments' rows together are not the relation's
	part   bool            // each row is in one fragment; if false, all are in each
	driver *leaf           // the rows lie as this leaf's do, by no key
	keys   map[source]bool // columns by whose hash the rows are dealt out
}

var (
	unfit      = spread{bad: true}
	replicated = spread{}
)

// pair is two columns that are equal in every row.
type pair [2]source

// rows is how the rows of FROM and WHERE lie. outer holds the keys of the
// blocks around it.
func (b *block) rows(outer map[source]bool) spread {
	pairs := b.pairs(conjunctsOf(b.n["where_clause"]))
	s := b.inner(b.from, &pairs)
	if s.bad {
		return s
	}
	seen := union(outer, s.keys)
	for _, in := range b.nested {
		n := in.rows(seen)
		if n.bad || n.part && (n.driver != nil || !overlap(n.keys, seen)) {
			return unfit
		}
	}
	return s
}

// inner is how the rows of a tree of inner joins lie. pairs are the equal
// columns that are known from around it; those of the joins are added.
func (b *block) inner(from any, pairs *[]pair) spread {
	members := b.members(from, pairs)
	all := spread{}
	for _, m := range members {
		switch {
		case m.bad:
			return unfit
		case !m.part:
		case !all.part:
			all = m
		case all.driver != nil || m.driver != nil || !overlap(closure(all.keys, *pairs), m.keys):
			return unfit
		default:
			all.keys = union(all.keys, m.keys)
		}
	}
	all.keys = closure(all.keys, *pairs)
	return all
}

// members are the operands of a tree of inner joins. Members that are joined
// only through a third are ordered so that each meets those before it.
func (b *block) members(from any, pairs *[]pair) []spread {
	n, _ := from.(node)
	if kind(n) == "JOIN" && str(n, "join_type") == "INNER" && str(n, "ref_type") != "ASOF" {
		*pairs = append(*pairs, b.joinPairs(n)...)
		return append(b.members(n["left"], pairs), b.members(n["right"], pairs)...)
	}
	return []spread{b.member(n)}
}

func (b *block) member(n node) spread {
	switch kind(n) {
	case "JOIN":
		return b.outerJoin(n)
	case "BASE_TABLE":
		return leafOf(n).spread()
	case "SUBQUERY":
		holder := child(n, "subquery")
		if in, ok := holder[mark].(*block); ok {
			if in.lateral {
				return replicated
			}
			return in.rows(nil)
		}
		return leafOf(child(child(holder, "node"), "from_table")).spread()
	}
	return replicated // values, and functions of the rows beside them
}

func leafOf(n node) *leaf {
	l, ok := n[mark].(*leaf)
	if !ok {
		panic("BUG: a table of the tree without a leaf")
	}
	return l
}

func (l *leaf) spread() spread {
	switch l.use.mode {
	case driven:
		return spread{part: true, driver: l}
	case shared:
		keys := map[source]bool{}
		for _, k := range l.use.keys {
			keys[source{l, k}] = true
		}
		return spread{part: true, keys: keys}
	}
	return replicated
}

// outerJoin is how the rows of a join lie that is not a plain inner one.
func (b *block) outerJoin(n node) spread {
	var lp, rp []pair
	left, right := b.inner(n["left"], &lp), b.inner(n["right"], &rp)
	tp := str(n, "join_type")
	// The left side of ASOF finds its partners among all of the right one,
	// whichever side is kept: one that lies whole would find some in each part.
	if str(n, "ref_type") == "ASOF" && (tp == "RIGHT" || tp == "FULL") && left.part != right.part {
		return unfit
	}
	if tp == "RIGHT" {
		left, right, lp, rp = right, left, rp, lp
	}
	if left.bad || right.bad {
		return unfit
	}
	if tp != "FULL" && !right.part {
		return left
	}
	if !left.part && !right.part {
		return left
	}
	if !left.part || !right.part || left.driver != nil || right.driver != nil {
		return unfit
	}
	on := b.joinPairs(n)
	if !overlap(closure(left.keys, on), right.keys) {
		return unfit
	}
	if tp == "FULL" {
		return spread{part: true}
	}
	return left
}

// joinPairs are the columns that a join's condition makes equal.
func (b *block) joinPairs(n node) []pair {
	b.names.inCondition = true
	defer func() { b.names.inCondition = false }()
	using, _ := n[mark].([]pair)
	return append(b.pairs(conjunctsOf(n["condition"])), using...)
}

// pairs are the columns that the conditions make equal.
func (b *block) pairs(conditions []node) []pair {
	var all []pair
	for _, c := range conditions {
		switch kind(c) {
		case "COMPARE_EQUAL":
			l, _ := c["left"].(node)
			r, _ := c["right"].(node)
			if from, to := b.sourceOf(l), b.sourceOf(r); from.leaf != nil && to.leaf != nil && str(c, "class") == "COMPARISON" && sameHash(from, to) {
				all = append(all, pair{from, to})
			}
		case "CONJUNCTION_OR":
			all = append(all, b.commonPairs(list(c, "children"))...)
		}
	}
	return all
}

// commonPairs are the pairs that each branch of an OR has.
func (b *block) commonPairs(branches []any) []pair {
	var common []pair
	for i, v := range branches {
		pairs := b.pairs(conjunctsOf(v))
		if i == 0 {
			common = pairs
			continue
		}
		var both []pair
		for _, p := range common {
			for _, q := range pairs {
				if p == q || p[0] == q[1] && p[1] == q[0] {
					both = append(both, p)
					break
				}
			}
		}
		common = both
	}
	return common
}

// sameHash tells that equal values of two columns have equal hashes.
func sameHash(a, b source) bool {
	t := a.leaf.types[a.name]
	if t != b.leaf.types[b.name] {
		return false
	}
	switch t {
	case "BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT",
		"VARCHAR", "DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "UUID":
		return true
	}
	return strings.HasPrefix(t, "DECIMAL(")
}

func closure(keys map[source]bool, pairs []pair) map[source]bool {
	if len(keys) == 0 {
		return keys
	}
	all := union(keys, nil)
	for grown := true; grown; {
		grown = false
		for _, p := range pairs {
			if all[p[0]] != all[p[1]] {
				all[p[0]], all[p[1]] = true, true
				grown = true
			}
		}
	}
	return all
}

func union(a, b map[source]bool) map[source]bool {
	all := make(map[source]bool, len(a)+len(b))
	for k := range a {
		all[k] = true
	}
	for k := range b {
		all[k] = true
	}
	return all
}

func overlap(a, b map[source]bool) bool {
	for k := range a {
		if b[k] {
			return true
		}
	}
	return false
}
