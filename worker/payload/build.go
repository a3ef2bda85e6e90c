package payload

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"regexp"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"skein/internal/fault"
	"skein/meta"
)

// plainTypes are the Arrow types of leaf columns: those that DuckDB reads back
// from Parquet as the type of that name.
var plainTypes = map[string]arrow.DataType{
	meta.KindBoolean:           arrow.FixedWidthTypes.Boolean,
	meta.KindBigInt:            arrow.PrimitiveTypes.Int64,
	meta.KindDouble:            arrow.PrimitiveTypes.Float64,
	meta.KindVarchar:           arrow.BinaryTypes.String,
	meta.KindJSON:              arrow.BinaryTypes.String,
	meta.KindUnknown:           arrow.BinaryTypes.String,
	meta.KindFloat:             arrow.PrimitiveTypes.Float32,
	"TINYINT":                  arrow.PrimitiveTypes.Int8,
	"SMALLINT":                 arrow.PrimitiveTypes.Int16,
	"INTEGER":                  arrow.PrimitiveTypes.Int32,
	"UTINYINT":                 arrow.PrimitiveTypes.Uint8,
	"USMALLINT":                arrow.PrimitiveTypes.Uint16,
	"UINTEGER":                 arrow.PrimitiveTypes.Uint32,
	"UBIGINT":                  arrow.PrimitiveTypes.Uint64,
	"BLOB":                     arrow.BinaryTypes.Binary,
	"DATE":                     arrow.FixedWidthTypes.Date32,
	"TIME":                     arrow.FixedWidthTypes.Time64us,
	"TIMESTAMP":                &arrow.TimestampType{Unit: arrow.Microsecond},
	"TIMESTAMP_NS":             &arrow.TimestampType{Unit: arrow.Nanosecond},
	"TIMESTAMPTZ":              timestamptz,
	"TIMESTAMP WITH TIME ZONE": timestamptz,
}

var (
	timestamptz = &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}
	decimalType = regexp.MustCompile(`^DECIMAL\((\d+),\s*(\d+)\)$`)
)

// arrowType is the Arrow form of a column type.
func arrowType(t meta.Type) (arrow.DataType, error) {
	switch t.Kind {
	case meta.KindList:
		elem, err := arrowType(newNode(t).elem.t)
		if err != nil {
			return nil, err
		}
		return arrow.ListOf(elem), nil
	case meta.KindStruct:
		fields := make([]arrow.Field, len(t.Fields))
		for i, f := range t.Fields {
			ft, err := arrowType(f.Type)
			if err != nil {
				return nil, err
			}
			fields[i] = arrow.Field{Name: f.Name, Type: ft, Nullable: true}
		}
		return arrow.StructOf(fields...), nil
	}
	if a, ok := plainTypes[t.Kind]; ok {
		return a, nil
	}
	if m := decimalType.FindStringSubmatch(t.Kind); m != nil {
		precision, _ := strconv.Atoi(m[1])
		scale, _ := strconv.Atoi(m[2])
		return &arrow.Decimal128Type{Precision: int32(precision), Scale: int32(scale)}, nil
	}
	return nil, fault.Newf(fault.InvalidArgument, "the Write API has no type %s, use bulk ingest", t.Kind)
}

// Builder gathers records as an Arrow batch of all the layout's columns.
type Builder struct {
	layout  *Layout
	b       *array.RecordBuilder
	present []bool // columns that the current record has a value for
	compact bytes.Buffer
}

// NewBuilder returns a builder that the caller releases.
func (l *Layout) NewBuilder(mem memory.Allocator) (*Builder, error) {
	s, err := l.ArrowSchema()
	if err != nil {
		return nil, err
	}
	return &Builder{layout: l, b: array.NewRecordBuilder(mem, s), present: make([]bool, len(l.schema.Columns))}, nil
}

// ArrowSchema is the schema of the builder's batches.
func (l *Layout) ArrowSchema() (*arrow.Schema, error) {
	fields := make([]arrow.Field, len(l.schema.Columns))
	for i, c := range l.schema.Columns {
		t := arrow.DataType(timestamptz)
		switch i {
		case l.at:
		case l.id:
			t = arrow.BinaryTypes.String
		default:
			var err error
			if t, err = arrowType(c.Type); err != nil {
				return nil, fmt.Errorf("column %s: %w", c.Name, err)
			}
		}
		fields[i] = arrow.Field{Name: c.Name, Type: t, Nullable: true}
	}
	return arrow.NewSchema(fields, nil), nil
}

// Append adds one record. us is its time in microseconds since 1970 UTC. After
// an error the builder is of no use any more.
func (b *Builder) Append(id string, us int64, o Object) error {
	clear(b.present)
	l := b.layout
	b.b.Field(l.id).(*array.StringBuilder).Append(id)
	b.b.Field(l.at).(*array.TimestampBuilder).Append(arrow.Timestamp(us))
	b.present[l.id], b.present[l.at] = true, true
	for i := range o.fields {
		f := &o.fields[i]
		c, ok := l.column(f.name)
		if !ok {
			if f.kind == kindNull {
				continue
			}
			return fmt.Errorf("field %s: no column", f.name)
		}
		b.present[c] = true
		n := &l.root.fields[c]
		if !n.fits(&f.value) {
			return fmt.Errorf("field %s: %s does not hold %.40q", f.name, n.t.SQL(), f.raw)
		}
		if err := b.append(b.b.Field(c), n, &f.value); err != nil {
			return fmt.Errorf("field %s: %w", f.name, err)
		}
	}
	for c, ok := range b.present {
		if !ok {
			b.b.Field(c).AppendNull()
		}
	}
	return nil
}

// NewBatch returns the records appended since the last call. The caller
// releases it.
func (b *Builder) NewBatch() arrow.RecordBatch { return b.b.NewRecordBatch() }

// Release frees the builder.
func (b *Builder) Release() { b.b.Release() }

// append adds a value that fits n.
func (b *Builder) append(to array.Builder, n *node, v *value) error {
	if v.kind == kindNull {
		to.AppendNull()
		return nil
	}
	switch n.t.Kind {
	case meta.KindJSON:
		b.compact.Reset()
		if err := json.Compact(&b.compact, v.raw); err != nil {
			return err
		}
		to.(*array.StringBuilder).BinaryBuilder.Append(b.compact.Bytes())
	case meta.KindBoolean:
		to.(*array.BooleanBuilder).Append(v.raw[0] == 't')
	case meta.KindVarchar:
		to.(*array.StringBuilder).Append(v.str)
	case meta.KindBigInt:
		i, _ := parseInt(v.raw)
		to.(*array.Int64Builder).Append(i)
	case meta.KindDouble:
		f, _ := parseDouble(v.raw)
		to.(*array.Float64Builder).Append(f)
	case meta.KindBigDecimal:
		i, _ := new(big.Int).SetString(string(v.raw), 10)
		to.(*array.Decimal128Builder).Append(decimal128.FromBigInt(i))
	case meta.KindList:
		return b.appendList(to.(*array.ListBuilder), n, v)
	case meta.KindStruct:
		return b.appendStruct(to.(*array.StructBuilder), n, v)
	}
	return nil
}

func (b *Builder) appendList(to *array.ListBuilder, n *node, v *value) error {
	to.Append(true)
	for i := range v.elems {
		if err := b.append(to.ValueBuilder(), n.elem, &v.elems[i]); err != nil {
			return err
		}
	}
	return nil
}

func (b *Builder) appendStruct(to *array.StructBuilder, n *node, v *value) error {
	to.Append(true)
	present := make([]bool, len(n.fields))
	for i := range v.fields {
		f := &v.fields[i]
		c, ok := n.places[meta.FoldName(f.name)]
		if !ok {
			continue // null: fits made sure of it
		}
		present[c] = true
		if err := b.append(to.FieldBuilder(c), &n.fields[c], &f.value); err != nil {
			return err
		}
	}
	for c, ok := range present {
		if !ok {
			to.FieldBuilder(c).AppendNull()
		}
	}
	return nil
}
