//go:build duckdb_arrow

package coordinator

import "strings"

// place turns a byte offset into line and column, both from 1, the column in
// characters.
func place(sql string, offset int) (line, column int) {
	before := sql[:min(offset, len(sql))]
	line = strings.Count(before, "\n") + 1
	last := before[strings.LastIndexByte(before, '\n')+1:]
	return line, len([]rune(last)) + 1
}
