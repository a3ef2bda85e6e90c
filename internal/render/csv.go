package render

import (
	"bytes"
	"io"

	"github.com/apache/arrow-go/v18/arrow"
)

// csvRows writes RFC 4180 text with a header.
type csvRows struct {
	w    io.Writer
	buf  []byte
	cell []byte
}

// NewCSV writes comma-separated text with a header line and \n line ends. NULL
// is an empty field and the empty string is ""; in a result of one column NULL
// is "" too, because readers skip empty lines. Nested values are JSON.
func NewCSV(w io.Writer, schema *arrow.Schema) Writer {
	c := &csvRows{w: w}
	for i, n := range Names(schema) {
		if i > 0 {
			c.buf = append(c.buf, ',')
		}
		c.buf = appendField(c.buf, []byte(n))
	}
	c.buf = append(c.buf, '\n')
	return c
}

func (c *csvRows) Write(b arrow.RecordBatch) error {
	cols := b.Columns()
	for row := range int(b.NumRows()) {
		for i, col := range cols {
			if i > 0 {
				c.buf = append(c.buf, ',')
			}
			switch {
			case !IsNull(col, row):
				c.cell = AppendText(c.cell[:0], col, row)
				c.buf = appendField(c.buf, c.cell)
			case len(cols) == 1:
				c.buf = append(c.buf, `""`...)
			}
		}
		c.buf = append(c.buf, '\n')
		if err := c.flush(flushBytes); err != nil {
			return err
		}
	}
	return c.flush(1)
}

// Close writes the header if there were no rows.
func (c *csvRows) Close() error { return c.flush(1) }

func (c *csvRows) flush(least int) error {
	if len(c.buf) < least {
		return nil
	}
	_, err := c.w.Write(c.buf)
	c.buf = c.buf[:0]
	return err
}

func appendField(dst, field []byte) []byte {
	if len(field) > 0 && !bytes.ContainsAny(field, ",\"\r\n") {
		return append(dst, field...)
	}
	dst = append(dst, '"')
	for _, b := range field {
		if b == '"' {
			dst = append(dst, '"')
		}
		dst = append(dst, b)
	}
	return append(dst, '"')
}
