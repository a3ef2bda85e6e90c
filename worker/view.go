//go:build duckdb_arrow

package worker

import (
	"strings"

	"skein/internal/duck"
	nodev1 "skein/proto/node/v1"
)

// viewSQL makes a table's view: one SELECT for each group of files of a
// schema, put together by UNION ALL, with the scan's column names and types.
func viewSQL(t *nodev1.TableScan, paths [][]string) string {
	var parts []string
	for i, g := range t.Groups {
		if len(paths[i]) > 0 {
			parts = append(parts, selectGroup(t, g, paths[i]))
		}
	}
	if len(parts) == 0 {
		parts = []string{emptySelect(t)}
	}
	return "CREATE TEMP VIEW " + duck.Ident(t.View) + " AS " + strings.Join(parts, " UNION ALL ")
}

func selectGroup(t *nodev1.TableScan, g *nodev1.FileGroup, paths []string) string {
	var b strings.Builder
	b.WriteString("SELECT ")
	for i, c := range t.Columns {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(g.Expressions[i] + " AS " + duck.Ident(c.Name))
	}
	b.WriteString(" FROM read_parquet([")
	for i, p := range paths {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(duck.Literal(p))
	}
	// A path that holds "=" must not add columns.
	b.WriteString("], hive_partitioning = false)")
	if g.Filter != "" {
		return "SELECT * FROM (" + b.String() + ") WHERE " + g.Filter
	}
	return b.String()
}

func emptySelect(t *nodev1.TableScan) string {
	columns := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		columns[i] = "CAST(NULL AS " + c.Type + ") AS " + duck.Ident(c.Name)
	}
	return "SELECT " + strings.Join(columns, ", ") + " WHERE false"
}

// EmptyView is the view of a table without files: enough to bind a statement.
func EmptyView(t *nodev1.TableScan) string { return viewSQL(t, nil) }
