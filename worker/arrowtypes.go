package worker

import (
	"fmt"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"skein/internal/fault"
	"skein/meta"
)

// plainArrow are the DuckDB types that Arrow types without parameters load as.
var plainArrow = map[arrow.Type]string{
	arrow.NULL: "VARCHAR", arrow.BOOL: "BOOLEAN",
	arrow.INT8: "TINYINT", arrow.INT16: "SMALLINT", arrow.INT32: "INTEGER", arrow.INT64: "BIGINT",
	arrow.UINT8: "UTINYINT", arrow.UINT16: "USMALLINT", arrow.UINT32: "UINTEGER", arrow.UINT64: "UBIGINT",
	arrow.FLOAT32: "FLOAT", arrow.FLOAT64: "DOUBLE",
	arrow.STRING: "VARCHAR", arrow.LARGE_STRING: "VARCHAR", arrow.STRING_VIEW: "VARCHAR",
	arrow.BINARY: "BLOB", arrow.LARGE_BINARY: "BLOB", arrow.BINARY_VIEW: "BLOB", arrow.FIXED_SIZE_BINARY: "BLOB",
	arrow.DATE32: "DATE", arrow.DATE64: "DATE", arrow.TIME32: "TIME",
}

// refusedArrow says what to do about types that Parquet or DuckDB would lose.
var refusedArrow = map[arrow.Type]string{
	arrow.DECIMAL256:              "cast it to decimal128, of at most 38 digits",
	arrow.DURATION:                "Parquet keeps no microseconds of it; cast it to int64",
	arrow.INTERVAL_MONTHS:         "Parquet does not keep all of it; cast it to int32",
	arrow.INTERVAL_DAY_TIME:       "Parquet does not keep all of it; split it into integers",
	arrow.INTERVAL_MONTH_DAY_NANO: "Parquet does not keep all of it; split it into integers",
	arrow.SPARSE_UNION:            "Parquet has no unions; use a struct",
	arrow.DENSE_UNION:             "Parquet has no unions; use a struct",
	arrow.RUN_END_ENCODED:         "decode it",
}

// loadedType is the DuckDB type that a column of the storage type t loads as.
func loadedType(t arrow.DataType) (string, error) {
	if name, ok := plainArrow[t.ID()]; ok {
		return name, nil
	}
	switch t := t.(type) {
	case *arrow.TimestampType:
		return loadedTimestamp(t), nil
	case *arrow.Time64Type:
		if t.Unit == arrow.Nanosecond {
			return "TIME_NS", nil
		}
		return "TIME", nil
	case *arrow.DictionaryType:
		return loadedType(t.ValueType)
	case *arrow.StructType:
		return loadedStruct(t)
	case *arrow.MapType:
		return loadedMap(t)
	case arrow.DecimalType:
		if t.ID() != arrow.DECIMAL256 {
			return fmt.Sprintf("DECIMAL(%d,%d)", t.GetPrecision(), t.GetScale()), nil
		}
	case *arrow.FixedSizeListType:
		elem, err := loadedType(t.Elem())
		return fmt.Sprintf("%s[%d]", elem, t.Len()), err
	case arrow.ListLikeType:
		elem, err := loadedType(t.Elem())
		return elem + "[]", err
	}
	if advice, ok := refusedArrow[t.ID()]; ok {
		return "", fault.Newf(fault.InvalidArgument, "Arrow type %s cannot be stored without loss: %s", t, advice)
	}
	return "", fault.Newf(fault.InvalidArgument, "Arrow type %s cannot be stored", t)
}

// loadedField is the DuckDB type of a column or struct field of a storage
// schema.
func loadedField(f arrow.Field) (string, error) {
	if f.Metadata.Equal(uuidMark) {
		return "UUID", nil
	}
	t, err := loadedType(f.Type)
	if err != nil {
		return "", fmt.Errorf("%s: %w", f.Name, err)
	}
	return t, nil
}

func loadedTimestamp(t *arrow.TimestampType) string {
	if t.TimeZone != "" {
		return "TIMESTAMP WITH TIME ZONE"
	}
	return map[arrow.TimeUnit]string{arrow.Second: "TIMESTAMP_S", arrow.Millisecond: "TIMESTAMP_MS", arrow.Microsecond: "TIMESTAMP", arrow.Nanosecond: "TIMESTAMP_NS"}[t.Unit]
}

func loadedStruct(t *arrow.StructType) (string, error) {
	if err := checkNames(t.Fields()); err != nil {
		return "", err
	}
	parts := make([]string, t.NumFields())
	for i, f := range t.Fields() {
		ft, err := loadedField(f)
		if err != nil {
			return "", err
		}
		parts[i] = meta.QuoteIdent(f.Name) + " " + ft
	}
	return "STRUCT(" + strings.Join(parts, ", ") + ")", nil
}

func loadedMap(t *arrow.MapType) (string, error) {
	key, err := loadedType(t.KeyType())
	if err != nil {
		return "", err
	}
	value, err := loadedType(t.ItemType())
	return fmt.Sprintf("MAP(%s, %s)", key, value), err
}

// checkNames refuses names that DuckDB cannot have side by side.
func checkNames(fields []arrow.Field) error {
	if len(fields) == 0 {
		return fault.New(fault.InvalidArgument, "it has no columns or fields, at least one is needed")
	}
	seen := map[string]string{}
	for _, f := range fields {
		folded := meta.FoldName(f.Name)
		other, twice := seen[folded]
		switch {
		case f.Name == "" || strings.IndexByte(f.Name, 0) >= 0:
			return fault.Newf(fault.InvalidArgument, "the name %q of a column or field is empty or holds a NUL, rename it", f.Name)
		case twice:
			return fault.Newf(fault.InvalidArgument, "the columns or fields %q and %q differ at most in case, rename one", other, f.Name)
		}
		seen[folded] = f.Name
	}
	return nil
}

// uuidMark tells DuckDB that 16 bytes are a UUID.
var uuidMark = arrow.NewMetadata([]string{"ARROW:extension:name", "ARROW:extension:metadata"}, []string{"arrow.uuid", ""})

// extensionOf is the name of the field's extension type; empty if it has none.
func extensionOf(f arrow.Field) string {
	if e, ok := f.Type.(arrow.ExtensionType); ok {
		return e.ExtensionName()
	}
	name, _ := f.Metadata.GetValue("ARROW:extension:name")
	return name
}

// storageSchema is the schema with extension types and metadata taken off, so
// that what DuckDB loads depends on nothing else. UUIDs stay: DuckDB has them.
func storageSchema(s *arrow.Schema) *arrow.Schema {
	fields := make([]arrow.Field, s.NumFields())
	for i, f := range s.Fields() {
		fields[i] = storageField(f)
	}
	return arrow.NewSchema(fields, nil)
}

func storageField(f arrow.Field) arrow.Field {
	s := arrow.Field{Name: f.Name, Type: storageType(f.Type), Nullable: true}
	if b, ok := s.Type.(*arrow.FixedSizeBinaryType); ok && b.ByteWidth == 16 && extensionOf(f) == "arrow.uuid" {
		s.Metadata = uuidMark
	}
	return s
}

func storageType(t arrow.DataType) arrow.DataType {
	switch t := t.(type) {
	case arrow.ExtensionType:
		return storageType(t.StorageType())
	case *arrow.Float16Type:
		return arrow.PrimitiveTypes.Float32
	case *arrow.DictionaryType:
		return &arrow.DictionaryType{IndexType: t.IndexType, ValueType: storageType(t.ValueType), Ordered: t.Ordered}
	case *arrow.StructType:
		fields := make([]arrow.Field, t.NumFields())
		for i, f := range t.Fields() {
			fields[i] = storageField(f)
		}
		return arrow.StructOf(fields...)
	case *arrow.MapType:
		return arrow.MapOf(storageType(t.KeyType()), storageType(t.ItemType()))
	case *arrow.FixedSizeListType:
		return arrow.FixedSizeListOf(t.Len(), storageType(t.Elem()))
	case *arrow.ListType:
		return arrow.ListOf(storageType(t.Elem()))
	case *arrow.LargeListType:
		return arrow.LargeListOf(storageType(t.Elem()))
	case *arrow.ListViewType:
		return arrow.ListViewOf(storageType(t.Elem()))
	case *arrow.LargeListViewType:
		return arrow.LargeListViewOf(storageType(t.Elem()))
	}
	return t
}

// retype is data told as its storage type t. The caller releases it.
func retype(data arrow.ArrayData, t arrow.DataType) *array.Data {
	if data.DataType().ID() == arrow.FLOAT16 {
		return doubled(data)
	}
	var children []arrow.ArrayData
	for i, child := range data.Children() {
		c := retype(child, childType(t, i))
		defer c.Release()
		children = append(children, c)
	}
	if d, ok := t.(*arrow.DictionaryType); ok {
		dict := retype(data.Dictionary(), d.ValueType)
		defer dict.Release()
		return array.NewDataWithDictionary(t, data.Len(), data.Buffers(), data.NullN(), data.Offset(), dict)
	}
	return array.NewData(t, data.Len(), data.Buffers(), children, data.NullN(), data.Offset())
}

// doubled is an array of float16 as one of float32, which holds all of them.
func doubled(data arrow.ArrayData) *array.Data {
	halves := array.NewFloat16Data(data)
	defer halves.Release()
	b := array.NewFloat32Builder(memory.DefaultAllocator)
	defer b.Release()
	b.Reserve(halves.Len())
	for i := range halves.Len() {
		if halves.IsNull(i) {
			b.AppendNull()
		} else {
			b.Append(halves.Value(i).Float32())
		}
	}
	a := b.NewFloat32Array()
	defer a.Release()
	wide := a.Data().(*array.Data)
	wide.Retain()
	return wide
}

func childType(t arrow.DataType, i int) arrow.DataType {
	switch t := t.(type) {
	case *arrow.MapType:
		return t.Elem()
	case *arrow.StructType:
		return t.Field(i).Type
	case arrow.ListLikeType:
		return t.Elem()
	}
	return t
}
