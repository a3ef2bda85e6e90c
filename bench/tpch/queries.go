package tpch

import (
	"embed"
	"fmt"
	"slices"
	"strings"
)

//go:embed queries/*.sql
var texts embed.FS

// QueryCount is how many queries TPC-H has. They are numbered from 1.
const QueryCount = 22

// Query is one of the 22 queries, with the validation parameters of scale
// factor 1.
type Query struct {
	Number  int
	SQL     string // without a semicolon
	Ordered bool   // by its ORDER BY
	OrderBy []int  // the result columns, from 0, that it is ordered by
}

// Name is as in reports: q01.
func (q Query) Name() string { return fmt.Sprintf("q%02d", q.Number) }

// Queries are all queries, in order.
func Queries() []Query {
	queries := make([]Query, QueryCount)
	for i := range queries {
		q := Query{Number: i + 1, OrderBy: orderBy(i + 1)}
		text, err := texts.ReadFile("queries/" + q.Name() + ".sql")
		if err != nil {
			panic("BUG: a query is missing: " + err.Error())
		}
		q.SQL = strings.TrimSpace(string(text))
		q.Ordered = len(q.OrderBy) > 0
		queries[i] = q
	}
	return queries
}

// orderBy are the places of a query's sort keys in its result; none for the
// four that return one row.
func orderBy(number int) []int {
	switch number {
	case 6, 14, 17, 19:
		return nil
	case 1, 9:
		return []int{0, 1}
	case 2:
		return []int{0, 2, 1, 3}
	case 3:
		return []int{1, 2}
	case 5, 11:
		return []int{1}
	case 7:
		return []int{0, 1, 2}
	case 10:
		return []int{2}
	case 13, 21:
		return []int{1, 0}
	case 16:
		return []int{3, 0, 1, 2}
	case 18:
		return []int{4, 3}
	}
	return []int{0} // 4, 8, 12, 15, 20, 22
}

// Tables are the names of the eight tables, small ones first.
func Tables() []string {
	return slices.Clone(tables[:])
}

var tables = [...]string{"region", "nation", "supplier", "customer", "part", "partsupp", "orders", "lineitem"}
