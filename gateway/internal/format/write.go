package format

import (
	"encoding/json"
	"io"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"

	"skein/internal/render"
)

// Writer writes the batches of one result.
type Writer interface {
	render.Writer
	// Fail ends the rows where an error stopped them, in place of Close, and
	// frees what the Writer keeps. It returns false if the format cannot tell.
	Fail(body []byte) bool
}

// NewWriter returns a Writer of any format but Default. It writes nothing
// before the first Write or Close.
func NewWriter(f Format, w io.Writer, schema *arrow.Schema) Writer {
	switch f {
	case NDJSON:
		return silent{render.NewNDJSON(w, schema)}
	case CSV:
		return silent{render.NewCSV(w, schema)}
	case Arrow:
		to := &outlet{w}
		return stream{ipc.NewWriter(to, ipc.WithSchema(schema)), to}
	}
	return &grid{w: w, schema: schema}
}

// silent is a format that has no place for an error.
type silent struct{ render.Writer }

func (silent) Fail([]byte) bool { return false }

// stream is the Arrow IPC stream format. It has no place for an error.
type stream struct {
	w  *ipc.Writer
	to *outlet
}

type outlet struct{ io.Writer }

func (s stream) Write(b arrow.RecordBatch) error { return s.w.Write(b) }
func (s stream) Close() error                    { return s.w.Close() }

// Fail frees the dictionaries of the last batch, which the writer keeps, but
// writes no end of the rows.
func (s stream) Fail([]byte) bool {
	s.to.Writer = io.Discard
	_ = s.w.Close()
	return false
}

const gridBytes = 64 << 10 // gathered before a write

// grid writes {"columns":[{"name":…,"type":…}],"rows":[[…]],"row_count":N}.
type grid struct {
	w      io.Writer
	schema *arrow.Schema
	buf    []byte
	rows   int64
	opened bool
}

func (g *grid) Write(b arrow.RecordBatch) error {
	g.open()
	for row := range int(b.NumRows()) {
		if g.rows > 0 {
			g.buf = append(g.buf, ',')
		}
		g.rows++
		g.buf = append(g.buf, "\n["...)
		for i, c := range b.Columns() {
			if i > 0 {
				g.buf = append(g.buf, ',')
			}
			g.buf = render.AppendJSON(g.buf, c, row)
		}
		g.buf = append(g.buf, ']')
		if len(g.buf) >= gridBytes {
			if err := g.flush(); err != nil {
				return err
			}
		}
	}
	return g.flush()
}

func (g *grid) Close() error {
	g.open()
	g.buf = append(g.buf, `],"row_count":`...)
	g.buf = append(strconv.AppendInt(g.buf, g.rows, 10), "}\n"...)
	return g.flush()
}

func (g *grid) Fail(body []byte) bool {
	g.open()
	g.buf = append(g.buf, `],"row_count":`...)
	g.buf = append(strconv.AppendInt(g.buf, g.rows, 10), `,"error":`...)
	g.buf = append(append(g.buf, body...), "}\n"...)
	return g.flush() == nil
}

type gridColumn struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

func (g *grid) open() {
	if g.opened {
		return
	}
	g.opened = true
	cols := make([]gridColumn, g.schema.NumFields())
	for i, f := range g.schema.Fields() {
		cols[i] = gridColumn{f.Name, render.SQLType(f.Type)}
	}
	text, err := json.Marshal(cols)
	if err != nil {
		panic("BUG: columns are no JSON: " + err.Error())
	}
	g.buf = append(append(append(g.buf, `{"columns":`...), text...), `,"rows":[`...)
}

func (g *grid) flush() error {
	_, err := g.w.Write(g.buf)
	g.buf = g.buf[:0]
	return err
}
