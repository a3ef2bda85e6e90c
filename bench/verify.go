package bench

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"skein/bench/answer"
	"skein/internal/duck"
)

// examplesMax is how many bad rows are told.
const examplesMax = 10

// verify reads the written table and counts what is not as it was
// acknowledged.
func verify(ctx context.Context, s *server, table string, report *WritesReport) error {
	c := &census{report: report, seen: make([]uint8, report.Rows)}
	err := s.stream(ctx, "SELECT "+recordColumns+" FROM "+duck.Ident(table), func(r array.RecordReader) error {
		for r.Next() {
			a := answer.Of(r.Schema(), []arrow.RecordBatch{r.RecordBatch()})
			for _, row := range a.Rows {
				c.row(row)
			}
		}
		return r.Err()
	})
	if err != nil {
		return fmt.Errorf("read table %s back: %w", table, err)
	}
	c.finish()
	return nil
}

// census counts the rows of a table whose every record is known.
type census struct {
	report *WritesReport
	seen   []uint8 // times, by record; it stops at 2
}

func (c *census) row(cells []any) {
	text, _ := cells[0].(string)
	seq, err := strconv.Atoi(text)
	if err != nil || seq < 0 || seq >= len(c.seen) {
		c.report.Wrong++
		c.example("row %v was never written", cells)
		return
	}
	if c.seen[seq] > 0 {
		c.report.Repeated++
		c.example("record %d is there more than once", seq)
		c.seen[seq] = 2
		return
	}
	c.seen[seq] = 1
	if want := recordOf(seq).cells(); !slices.Equal(cells, want) {
		c.report.Wrong++
		c.example("record %d is %v, want %v", seq, cells, want)
	}
}

func (c *census) finish() {
	for seq, times := range c.seen {
		if times == 0 {
			c.report.Missing++
			c.example("record %d is missing", seq)
		}
	}
}

func (c *census) example(format string, args ...any) {
	if len(c.report.Examples) < examplesMax {
		c.report.Examples = append(c.report.Examples, fmt.Sprintf(format, args...))
	}
}

// bad tells a server that lost, doubled or changed a row.
func (w *WritesReport) bad() bool { return w.Missing+w.Repeated+w.Wrong > 0 }
