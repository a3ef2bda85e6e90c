package output

import (
	"io"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"skein/internal/render"
)

// blockRows is how many rows are held to find the widths of columns. A longer
// result is printed as several tables.
const blockRows = 10_000

// tableRows prints a table with a row of types under the names.
type tableRows struct {
	w      io.Writer
	schema *arrow.Schema
	width  int
	rows   []table.Row
	cell   []byte
	blocks int
	cut    bool
}

// Write implements render.Writer.
func (t *tableRows) Write(b arrow.RecordBatch) error {
	for i := range int(b.NumRows()) {
		row := make(table.Row, b.NumCols())
		for j := range row {
			row[j] = t.text(b.Column(j), i)
		}
		t.rows = append(t.rows, row)
		if len(t.rows) == blockRows {
			if err := t.print(); err != nil {
				return err
			}
		}
	}
	return nil
}

// Close implements render.Writer.
func (t *tableRows) Close() error {
	if len(t.rows) == 0 && t.blocks > 0 {
		return nil
	}
	return t.print()
}

func (t *tableRows) print() error {
	w := table.NewWriter()
	style := table.StyleLight
	style.Format.Header, style.Format.HeaderAlign = text.FormatDefault, text.AlignCenter
	style.Format.HeaderVAlign = text.VAlignTop
	w.SetStyle(style)
	names, types := make(table.Row, t.schema.NumFields()), make(table.Row, t.schema.NumFields())
	columns := make([]table.ColumnConfig, t.schema.NumFields())
	for i, f := range t.schema.Fields() {
		names[i], types[i] = printable(f.Name), render.SQLType(f.Type)
		columns[i] = table.ColumnConfig{Number: i + 1, AlignHeader: text.AlignCenter}
		if isNumber(f.Type) {
			columns[i].Align = text.AlignRight
		}
	}
	w.AppendHeader(names)
	w.AppendHeader(types)
	w.SetColumnConfigs(columns)
	w.AppendRows(t.rows)
	out := w.Render()
	if t.width > 0 && text.LongestLineLen(out) > t.width {
		t.cut = true
		w.Style().Size.WidthMax = t.width
		out = w.Render()
	}
	t.rows = t.rows[:0]
	t.blocks++
	_, err := io.WriteString(t.w, out+"\n")
	return err
}

func (t *tableRows) text(col arrow.Array, row int) string {
	s, ok := cellText(&t.cell, col, row)
	if !ok {
		return "NULL"
	}
	return s
}

// cellText is the value as one that can be shown; false for NULL.
func cellText(buf *[]byte, col arrow.Array, row int) (string, bool) {
	if render.IsNull(col, row) {
		return "", false
	}
	*buf = render.AppendText((*buf)[:0], col, row)
	return printable(string(*buf)), true
}

// printable shows control characters instead of sending them to the terminal,
// which could obey them. Line ends are shown as \n.
func printable(s string) string {
	if strings.IndexFunc(s, isControl) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case isControl(r):
			const hex = "0123456789abcdef"
			b.Write([]byte{'\\', 'x', hex[r>>4], hex[r&15]})
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func isControl(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 }

func isNumber(t arrow.DataType) bool {
	return arrow.IsInteger(t.ID()) || arrow.IsFloating(t.ID()) || arrow.IsDecimal(t.ID())
}
