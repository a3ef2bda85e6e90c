package output

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/arrow"

	"skein/internal/batch"
	"skein/internal/render"
)

// Formats are the names that Print takes.
var Formats = []string{"table", "csv", "json", "ndjson", "line"}

// Options of printing.
type Options struct {
	Format  string // one of Formats
	Width   int    // of the terminal in columns, tables are cut to it; no limit if zero
	RowsMax int64  // rows printed; all if zero
}

// Summary tells what was printed.
type Summary struct {
	Rows int64
	More bool // RowsMax was reached and there are more rows
	Cut  bool // a table was wider than Width
}

// Print writes all rows of r, or the first RowsMax. It does not close r.
func Print(ctx context.Context, w io.Writer, r batch.Reader, o Options) (sum Summary, err error) {
	out, err := newWriter(w, r.Schema(), o)
	if err != nil {
		return sum, err
	}
	for {
		b, err := r.Next(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return sum, err
		}
		n := b.NumRows()
		if o.RowsMax > 0 && sum.Rows+n > o.RowsMax {
			n, sum.More = o.RowsMax-sum.Rows, true
		}
		part := b.NewSlice(0, n)
		err = out.Write(part)
		part.Release()
		if err != nil {
			return sum, err
		}
		sum.Rows += n
		if sum.More {
			break
		}
	}
	err = out.Close()
	if t, ok := out.(*tableRows); ok {
		sum.Cut = t.cut
	}
	return sum, err
}

func newWriter(w io.Writer, schema *arrow.Schema, o Options) (render.Writer, error) {
	switch o.Format {
	case "table":
		return &tableRows{w: w, schema: schema, width: o.Width}, nil
	case "csv":
		return render.NewCSV(w, schema), nil
	case "json":
		return render.NewJSON(w, schema), nil
	case "ndjson":
		return render.NewNDJSON(w, schema), nil
	case "line":
		return &lineRows{w: w, names: render.Names(schema)}, nil
	}
	return nil, fmt.Errorf("unknown format %q: use one of %v", o.Format, Formats)
}
