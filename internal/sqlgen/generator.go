package sqlgen

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
)

// rowsMin makes the heavy value the most frequent one for certain, and the
// largest table larger than the pool of numbers.
const rowsMin = 100

// Options of a generator.
type Options struct {
	Seed    uint64
	Rows    int      // of the largest table, at least 100; 200 if zero
	Without []string // types that no column has, as Column.Type writes them
}

// Generator draws tables once and any number of statements over them.
type Generator struct {
	seed   uint64
	tables []Table
}

// New draws the tables.
func New(o Options) *Generator {
	if o.Rows == 0 {
		o.Rows = 200
	}
	o.Rows = max(o.Rows, rowsMin)
	r := rng{rand.New(rand.NewPCG(o.Seed, 0))}
	return &Generator{seed: o.Seed, tables: r.tables(o.Rows, o.Without)}
}

// Tables are the tables, one of them empty. The caller must not change them.
func (g *Generator) Tables() []Table { return g.tables }

// Statement is one SELECT.
type Statement struct {
	SQL      string
	OrderBy  []int    // the result columns, from 0, that fix the order of rows; ties may come in any order
	Features []string // sorted
}

// Ordered tells whether the rows' order is a part of the answer.
func (s Statement) Ordered() bool { return len(s.OrderBy) > 0 }

// Statement draws the statement of a number, the same one each time.
func (g *Generator) Statement(number int) Statement {
	b := &builder{
		rng:    rng{rand.New(rand.NewPCG(g.seed, uint64(number)+1))},
		tables: g.tables,
		used:   map[string]bool{},
		turn:   number / len(shapes),
	}
	shape := shapes[number%len(shapes)]
	q := shape(b)
	if !q.closed {
		q = b.finish(q)
	}
	return Statement{
		SQL:      b.with() + q.sql,
		OrderBy:  q.orderBy,
		Features: slices.Sorted(maps.Keys(b.used)),
	}
}

// builder draws one statement.
type builder struct {
	rng
	tables  []Table
	used    map[string]bool
	aliases int
	turn    int // how often this shape was drawn before
	nested  int // subqueries that this place is in
	ctes    []cte
}

type cte struct {
	name    string
	text    string // between WITH and the comma
	columns []column
	rows    int
}

// use notes a feature.
func (b *builder) use(names ...string) {
	for _, name := range names {
		if !slices.Contains(features, name) {
			panic("BUG: feature " + name + " is not in the list")
		}
		b.used[name] = true
	}
}

// alias is a name that the statement does not have yet.
func (b *builder) alias(prefix string) string {
	b.aliases++
	return fmt.Sprintf("%s%d", prefix, b.aliases)
}

// query is a SELECT whose columns are known.
type query struct {
	sql     string
	columns []column // ref is the output name
	orderBy []int
	rows    int  // a guess at how many
	limited bool // ends in LIMIT
	closed  bool // takes no ORDER BY or LIMIT any more
}

// noisy tells whether a column may differ in its last digits.
func (q query) noisy() bool {
	return slices.ContainsFunc(q.columns, func(c column) bool { return c.level == noisy })
}

// with is the statement's WITH clause.
func (b *builder) with() string {
	if len(b.ctes) == 0 {
		return ""
	}
	texts := make([]string, len(b.ctes))
	for i, c := range b.ctes {
		texts[i] = c.text
	}
	return "WITH " + list(texts) + " "
}
