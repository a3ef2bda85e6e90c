//go:build duckdb_arrow

package duck

import (
	"context"
	"errors"
	"io"
	"strings"
)

// Strings runs a query for a small result and returns its values as text, row
// by row; NULL is the empty string.
func (c *Conn) Strings(ctx context.Context, sql string) ([][]string, error) {
	s, err := c.Query(ctx, sql)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	var rows [][]string
	for {
		b, err := s.Next(ctx)
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return nil, err
		}
		for i := range int(b.NumRows()) {
			row := make([]string, b.NumCols())
			for j := range row {
				if col := b.Column(j); !col.IsNull(i) {
					row[j] = strings.Clone(col.ValueStr(i)) // the batch's memory is DuckDB's
				}
			}
			rows = append(rows, row)
		}
	}
}
