package clickbench

import (
	"embed"
	"fmt"
	"strings"
)

//go:embed queries/*.sql
var texts embed.FS

// QueryCount is how many queries there are. They are numbered from 1.
const QueryCount = 43

// Query is one of the queries.
type Query struct {
	Number int
	SQL    string // as in the benchmark, without a semicolon
	// Total is the same query with an order that leaves nothing open. For most
	// queries SQL may take any rows among equals, so Total is what two engines
	// can be compared by.
	Total   string
	Ordered bool // Total's rows have one order, all of their columns counting
}

// Name is as in reports: q01.
func (q Query) Name() string { return fmt.Sprintf("q%02d", q.Number) }

// ties are the sort keys that complete each query's order: result columns by
// their place, or names.
var ties = map[int]string{
	8: "1", 9: "1", 10: "1", 11: "1", 12: "1, 2", 13: "1", 14: "1", 15: "1, 2", 16: "1", 17: "1, 2", 18: "1, 2", 19: "1, 2, 3",
	22: "1", 23: "1", 24: "WatchID", 25: "SearchPhrase", 26: "SearchPhrase", 27: "SearchPhrase", 28: "1", 29: "1", 31: "1, 2", 32: "1, 2", 33: "1, 2",
	34: "1", 35: "2", 36: "1", 37: "1", 38: "1", 39: "1", 40: "1, 2, 3, 4, 5", 41: "1, 2", 42: "1, 2", 43: "1",
}

// Queries are all queries, in order.
func Queries() []Query {
	queries := make([]Query, QueryCount)
	for i := range queries {
		q := Query{Number: i + 1}
		text, err := texts.ReadFile("queries/" + q.Name() + ".sql")
		if err != nil {
			panic("BUG: a query is missing: " + err.Error())
		}
		q.SQL = strings.TrimSpace(string(text))
		q.Total, q.Ordered = total(q.SQL, ties[q.Number])
		queries[i] = q
	}
	return queries
}

// total adds sort keys behind those of a query.
func total(sql, keys string) (string, bool) {
	if keys == "" {
		return sql, false
	}
	body, limit, limited := strings.Cut(sql, " LIMIT ")
	if strings.Contains(body, " ORDER BY ") {
		body += ", " + keys
	} else {
		body += " ORDER BY " + keys
	}
	if limited {
		body += " LIMIT " + limit
	}
	return body, true
}
