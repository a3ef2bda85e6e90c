package worker

import (
	"context"
	"fmt"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"skein/internal/batch"
	"skein/internal/fault"
)

// storageReader gives the batches of another reader as their storage types,
// and refuses values that would be lost or make a file unreadable. It does not
// own the other reader.
type storageReader struct {
	in      batch.Reader
	schema  *arrow.Schema
	current arrow.RecordBatch
}

func newStorageReader(in batch.Reader) *storageReader {
	return &storageReader{in: in, schema: storageSchema(in.Schema())}
}

// Schema implements batch.Reader.
func (r *storageReader) Schema() *arrow.Schema { return r.schema }

// Next implements batch.Reader.
func (r *storageReader) Next(ctx context.Context) (arrow.RecordBatch, error) {
	r.release()
	b, err := r.in.Next(ctx)
	if err != nil {
		return nil, err
	}
	if int(b.NumCols()) != r.schema.NumFields() {
		return nil, fault.Newf(fault.InvalidArgument, "a batch has %d columns, its schema %d", b.NumCols(), r.schema.NumFields())
	}
	cols := make([]arrow.Array, b.NumCols())
	defer func() {
		for _, c := range cols {
			if c != nil {
				c.Release()
			}
		}
	}()
	for i, f := range r.schema.Fields() {
		data := retype(b.Column(i).Data(), f.Type)
		cols[i] = array.MakeFromData(data)
		data.Release()
		if err := checkValues(cols[i]); err != nil {
			return nil, fmt.Errorf("column %s: %w", f.Name, err)
		}
	}
	r.current = array.NewRecordBatch(r.schema, cols, b.NumRows())
	return r.current, nil
}

func (r *storageReader) release() {
	if r.current != nil {
		r.current.Release()
		r.current = nil
	}
}

// Close implements batch.Reader.
func (r *storageReader) Close() error {
	r.release()
	return nil
}

// checkValues refuses values that DuckDB would take and then lose, or write
// to a file that it cannot read again.
func checkValues(a arrow.Array) error {
	switch a := a.(type) {
	case *array.String:
		if a.Len() == 0 || isText(a.ValueBytes(), a.ValueOffsets()) {
			return nil
		}
		return checkText(a, a.Value)
	case *array.LargeString:
		return checkText(a, a.Value)
	case *array.StringView:
		return checkText(a, a.Value)
	case *array.Timestamp:
		if t := a.DataType().(*arrow.TimestampType); t.Unit == arrow.Nanosecond && t.TimeZone != "" {
			return checkMultiple(a, func(i int) int64 { return int64(a.Value(i)) }, 1000,
				"times with a time zone are kept to the microsecond, and one has nanoseconds; round them, or take the time zone off")
		}
	case *array.Date64:
		return checkMultiple(a, func(i int) int64 { return int64(a.Value(i)) }, 24*60*60*1000,
			"a date64 has a time of day; use a timestamp")
	case *array.Struct:
		for i := range a.NumField() {
			if err := checkValues(a.Field(i)); err != nil {
				return err
			}
		}
	case *array.Dictionary:
		return checkValues(a.Dictionary())
	case array.ListLike:
		return checkValues(a.ListValues())
	}
	return nil
}

// isText tells at once that all strings of an array are UTF-8: their bytes are,
// and none begins within a character. False tells nothing.
func isText[T int32 | int64](values []byte, offsets []T) bool {
	if !utf8.Valid(values) {
		return false
	}
	for _, o := range offsets {
		if i := int(o - offsets[0]); i < len(values) && !utf8.RuneStart(values[i]) {
			return false
		}
	}
	return true
}

func checkText(a arrow.Array, value func(int) string) error {
	for i := range a.Len() {
		if a.IsValid(i) && !utf8.ValidString(value(i)) {
			return fault.Newf(fault.InvalidArgument, "a string is not valid UTF-8: %.40q; use a binary column", value(i))
		}
	}
	return nil
}

func checkMultiple(a arrow.Array, value func(int) int64, unit int64, what string) error {
	for i := range a.Len() {
		if a.IsValid(i) && value(i)%unit != 0 {
			return fault.New(fault.InvalidArgument, what)
		}
	}
	return nil
}
