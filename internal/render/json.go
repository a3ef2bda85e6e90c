package render

import (
	"io"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow"
)

// flushBytes is how much text a writer gathers before it writes.
const flushBytes = 64 << 10

// Writer writes batches of one schema. Each Write leaves nothing behind in a
// buffer, so that a reader of a slow result sees its rows as they come.
type Writer interface {
	// Write takes the rows of b. The caller keeps its ownership.
	Write(b arrow.RecordBatch) error
	// Close writes what ends the text. It does not close the underlying writer.
	Close() error
}

// jsonRows writes rows as JSON objects.
type jsonRows struct {
	w                          io.Writer
	keys                       [][]byte // `"name":`
	open, between, after, shut string   // text around and between rows
	rows                       int64
	buf                        []byte
}

// NewJSON writes one JSON array of objects: [{"a":1},{"a":2}] and a line end.
func NewJSON(w io.Writer, schema *arrow.Schema) Writer {
	return &jsonRows{w: w, keys: keysOf(schema), open: "[", between: ",\n ", shut: "]\n"}
}

// NewNDJSON writes one JSON object on each line.
func NewNDJSON(w io.Writer, schema *arrow.Schema) Writer {
	return &jsonRows{w: w, keys: keysOf(schema), after: "\n"}
}

func keysOf(schema *arrow.Schema) [][]byte {
	names := Names(schema)
	keys := make([][]byte, len(names))
	for i, n := range names {
		keys[i] = append(appendString(nil, n), ':')
	}
	return keys
}

func (j *jsonRows) Write(b arrow.RecordBatch) error {
	cols := b.Columns()
	for row := range int(b.NumRows()) {
		if j.rows == 0 {
			j.buf = append(j.buf, j.open...)
		} else {
			j.buf = append(j.buf, j.between...)
		}
		j.rows++
		j.buf = append(j.buf, '{')
		for i, c := range cols {
			if i > 0 {
				j.buf = append(j.buf, ',')
			}
			j.buf = append(j.buf, j.keys[i]...)
			j.buf = AppendJSON(j.buf, c, row)
		}
		j.buf = append(j.buf, '}')
		j.buf = append(j.buf, j.after...)
		if err := j.flush(flushBytes); err != nil {
			return err
		}
	}
	return j.flush(1)
}

func (j *jsonRows) Close() error {
	if j.rows == 0 {
		j.buf = append(j.buf, j.open...)
	}
	j.buf = append(j.buf, j.shut...)
	return j.flush(1)
}

// flush writes the buffer when it holds at least the given number of bytes.
func (j *jsonRows) flush(least int) error {
	if len(j.buf) < least {
		return nil
	}
	_, err := j.w.Write(j.buf)
	j.buf = j.buf[:0]
	return err
}

// Names are the schema's column names, made unique: of two columns a the
// second is a_1, so that neither is lost in an object.
func Names(schema *arrow.Schema) []string {
	names := make([]string, schema.NumFields())
	seen := make(map[string]bool, len(names))
	for i, f := range schema.Fields() {
		names[i] = f.Name
		seen[f.Name] = true
	}
	first := make(map[string]bool, len(names))
	for i, n := range names {
		if !first[n] {
			first[n] = true
			continue
		}
		for k := 1; ; k++ {
			if unique := n + "_" + strconv.Itoa(k); !seen[unique] {
				names[i], seen[unique] = unique, true
				break
			}
		}
	}
	return names
}
