package flight

import (
	"context"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/flight/flightsql"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/grpc/metadata"

	"skein/coordinator"
	"skein/internal/batch"
)

// The JDBC driver takes unsigned integers for signed ones, so that 255 is -1,
// and shows the indices of dictionaries within lists and structs, all without
// an error. Java clients get wider integers and plain text instead.

// isJava tells whether the caller is a Java client. The driver does not say
// its own name.
func isJava(ctx context.Context) bool {
	md, _ := metadata.FromIncomingContext(ctx)
	agent := md.Get("user-agent")
	return len(agent) > 0 && strings.HasPrefix(agent[0], "grpc-java")
}

// javaStatement is a statement as a Java client is told of it.
func javaStatement(st *coordinator.Statement) *coordinator.Statement {
	told := *st
	if st.Schema != nil {
		told.Schema = javaSchema(st.Schema)
	}
	if st.Params != nil {
		told.Params = javaSchema(st.Params)
	}
	return &told
}

// javaSchema also tells precision and scale, which the driver takes from the
// fields' metadata alone.
func javaSchema(s *arrow.Schema) *arrow.Schema {
	fields := s.Fields()
	for i, f := range fields {
		fields[i].Type = javaType(f.Type)
		if precision, scale, ok := precisionOf(f.Type); ok && f.Metadata.Len() == 0 {
			fields[i].Metadata = flightsql.NewColumnMetadataBuilder().Precision(precision).Scale(scale).Metadata()
		}
	}
	meta := s.Metadata()
	return arrow.NewSchema(fields, &meta)
}

func javaType(t arrow.DataType) arrow.DataType {
	field := func(f arrow.Field) arrow.Field {
		f.Type = javaType(f.Type)
		return f
	}
	switch t := t.(type) {
	case *arrow.Uint8Type:
		return arrow.PrimitiveTypes.Int16
	case *arrow.Uint16Type:
		return arrow.PrimitiveTypes.Int32
	case *arrow.Uint32Type:
		return arrow.PrimitiveTypes.Int64
	case *arrow.Uint64Type:
		return &arrow.Decimal128Type{Precision: 20}
	case *arrow.DictionaryType:
		if t.ValueType.ID() == arrow.STRING {
			return t.ValueType
		}
	case *arrow.MapType:
		m := arrow.MapOfFields(field(t.KeyField()), field(t.ItemField()))
		m.KeysSorted = t.KeysSorted
		return m
	case *arrow.ListType:
		return arrow.ListOfField(field(t.ElemField()))
	case *arrow.FixedSizeListType:
		return arrow.FixedSizeListOfField(t.Len(), field(t.ElemField()))
	case *arrow.StructType:
		fields := t.Fields()
		for i := range fields {
			fields[i] = field(fields[i])
		}
		return arrow.StructOf(fields...)
	}
	return t
}

// javaReader gives the rows of a reader in the types of javaSchema.
type javaReader struct {
	batch.Reader
	schema  *arrow.Schema
	current arrow.RecordBatch
}

func newJavaReader(r batch.Reader) batch.Reader {
	return &javaReader{Reader: r, schema: javaSchema(r.Schema())}
}

// Schema implements batch.Reader.
func (j *javaReader) Schema() *arrow.Schema { return j.schema }

// Next implements batch.Reader.
func (j *javaReader) Next(ctx context.Context) (arrow.RecordBatch, error) {
	j.release()
	b, err := j.Reader.Next(ctx)
	if err != nil {
		return nil, err
	}
	columns := make([]arrow.Array, b.NumCols())
	for i, c := range b.Columns() {
		columns[i] = javaArray(c, j.schema.Field(i).Type)
		defer columns[i].Release()
	}
	j.current = array.NewRecordBatch(j.schema, columns, b.NumRows())
	return j.current, nil
}

// Close implements batch.Reader.
func (j *javaReader) Close() error {
	j.release()
	return j.Reader.Close()
}

func (j *javaReader) release() {
	if j.current != nil {
		j.current.Release()
		j.current = nil
	}
}

// javaArray is a in the type to, which is javaType of its own. The caller
// releases it.
func javaArray(a arrow.Array, to arrow.DataType) arrow.Array {
	if arrow.TypeEqual(a.DataType(), to) {
		a.Retain()
		return a
	}
	switch a := a.(type) {
	case *array.Uint8:
		return rebuilt(array.NewInt16Builder(memory.DefaultAllocator), a, func(i int) int16 { return int16(a.Value(i)) })
	case *array.Uint16:
		return rebuilt(array.NewInt32Builder(memory.DefaultAllocator), a, func(i int) int32 { return int32(a.Value(i)) })
	case *array.Uint32:
		return rebuilt(array.NewInt64Builder(memory.DefaultAllocator), a, func(i int) int64 { return int64(a.Value(i)) })
	case *array.Uint64:
		b := array.NewDecimal128Builder(memory.DefaultAllocator, to.(*arrow.Decimal128Type))
		return rebuilt(b, a, func(i int) decimal128.Num { return decimal128.FromU64(a.Value(i)) })
	case *array.Dictionary:
		values := a.Dictionary().(*array.String)
		return rebuilt(array.NewStringBuilder(memory.DefaultAllocator), a, func(i int) string { return values.Value(a.GetValueIndex(i)) })
	}
	return javaNested(a.Data(), to)
}

// rebuilt makes an array of the values at each index of a.
func rebuilt[V any, B interface {
	array.Builder
	Append(V)
}](b B, a arrow.Array, value func(i int) V) arrow.Array {
	defer b.Release()
	b.Reserve(a.Len())
	for i := range a.Len() {
		if a.IsNull(i) {
			b.AppendNull()
		} else {
			b.Append(value(i))
		}
	}
	return b.NewArray()
}

// javaNested changes the elements of lists, maps and structs.
func javaNested(d arrow.ArrayData, to arrow.DataType) arrow.Array {
	var types []arrow.DataType
	switch to := to.(type) {
	case arrow.ListLikeType:
		types = []arrow.DataType{to.Elem()}
	case *arrow.StructType:
		for _, f := range to.Fields() {
			types = append(types, f.Type)
		}
	}
	children := make([]arrow.ArrayData, len(types))
	for i, c := range d.Children() {
		child := array.MakeFromData(c)
		changed := javaArray(child, types[i])
		child.Release()
		defer changed.Release()
		children[i] = changed.Data()
	}
	data := array.NewData(to, d.Len(), d.Buffers(), children, d.NullN(), d.Offset())
	defer data.Release()
	return array.MakeFromData(data)
}
