package output

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
)

// lineRows prints each value on its own line, which suits wide rows.
type lineRows struct {
	w     io.Writer
	names []string
	rows  int64
	cell  []byte
}

// Write implements render.Writer.
func (l *lineRows) Write(b arrow.RecordBatch) error {
	width := 0
	for _, n := range l.names {
		width = max(width, utf8.RuneCountInString(n))
	}
	var out strings.Builder
	for row := range int(b.NumRows()) {
		if l.rows > 0 {
			out.WriteByte('\n')
		}
		l.rows++
		for i, n := range l.names {
			s, ok := cellText(&l.cell, b.Column(i), row)
			if !ok {
				s = "NULL"
			}
			fmt.Fprintf(&out, "%*s = %s\n", width, printable(n), s)
		}
	}
	_, err := io.WriteString(l.w, out.String())
	return err
}

// Close implements render.Writer.
func (l *lineRows) Close() error { return nil }
