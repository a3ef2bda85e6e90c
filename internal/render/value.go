package render

import (
	"encoding/base64"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// AppendJSON appends one value as JSON.
func AppendJSON(dst []byte, col arrow.Array, row int) []byte {
	col, row = plain(col, row)
	if col.IsNull(row) {
		return append(dst, "null"...)
	}
	if out, ok := appendNumber(dst, col, row); ok {
		return out
	}
	switch c := col.(type) {
	case *array.Boolean:
		return strconv.AppendBool(dst, c.Value(row))
	case *array.Float16:
		return appendJSONFloat(dst, float64(c.Value(row).Float32()), 32)
	case *array.Float32:
		return appendJSONFloat(dst, float64(c.Value(row)), 32)
	case *array.Float64:
		return appendJSONFloat(dst, c.Value(row), 64)
	case *array.Struct:
		return appendStruct(dst, c, row)
	case *array.Map:
		return appendMap(dst, c, row)
	case array.ListLike:
		return appendList(dst, c, row)
	}
	if b, ok := bytesOf(col, row); ok {
		dst = append(dst, '"')
		dst = base64.StdEncoding.AppendEncode(dst, b)
		return append(dst, '"')
	}
	if s, ok := stringOf(col, row); ok {
		return appendString(dst, s)
	}
	if out, ok := appendTime(append(dst, '"'), col, row); ok {
		return append(out, '"')
	}
	return appendString(dst, col.ValueStr(row))
}

// AppendText appends one value as plain text: what its JSON is, without the
// quotes around strings and times. NULL is nothing at all.
func AppendText(dst []byte, col arrow.Array, row int) []byte {
	col, row = plain(col, row)
	if col.IsNull(row) {
		return dst
	}
	switch c := col.(type) {
	case *array.Float16:
		return appendFloat(dst, float64(c.Value(row).Float32()), 32)
	case *array.Float32:
		return appendFloat(dst, float64(c.Value(row)), 32)
	case *array.Float64:
		return appendFloat(dst, c.Value(row), 64)
	}
	if s, ok := stringOf(col, row); ok {
		return append(dst, s...)
	}
	if b, ok := bytesOf(col, row); ok {
		return appendEscapedBytes(dst, b)
	}
	if out, ok := appendTime(dst, col, row); ok {
		return out
	}
	return AppendJSON(dst, col, row)
}

// plain looks through what only wraps a value: dictionaries, run ends, unions
// and extensions.
func plain(col arrow.Array, row int) (arrow.Array, int) {
	for {
		switch c := col.(type) {
		case *array.Dictionary:
			if c.IsNull(row) {
				return c, row
			}
			col, row = c.Dictionary(), c.GetValueIndex(row)
		case *array.RunEndEncoded:
			col, row = c.Values(), c.GetPhysicalIndex(row)
		case *array.SparseUnion:
			col = c.Field(c.ChildID(row))
		case *array.DenseUnion:
			col, row = c.Field(c.ChildID(row)), int(c.ValueOffset(row))
		case array.ExtensionArray:
			if c.ExtensionType().ExtensionName() == "arrow.uuid" {
				return c, row
			}
			col = c.Storage()
		default:
			return col, row
		}
	}
}

// IsNull also looks through dictionaries and other wrappers, whose own validity
// may not tell.
func IsNull(col arrow.Array, row int) bool {
	col, row = plain(col, row)
	return col.IsNull(row)
}

// appendNumber appends a value of an exact number type.
func appendNumber(dst []byte, col arrow.Array, row int) ([]byte, bool) {
	switch c := col.(type) {
	case *array.Int8:
		return strconv.AppendInt(dst, int64(c.Value(row)), 10), true
	case *array.Int16:
		return strconv.AppendInt(dst, int64(c.Value(row)), 10), true
	case *array.Int32:
		return strconv.AppendInt(dst, int64(c.Value(row)), 10), true
	case *array.Int64:
		return strconv.AppendInt(dst, c.Value(row), 10), true
	case *array.Uint8:
		return strconv.AppendUint(dst, uint64(c.Value(row)), 10), true
	case *array.Uint16:
		return strconv.AppendUint(dst, uint64(c.Value(row)), 10), true
	case *array.Uint32:
		return strconv.AppendUint(dst, uint64(c.Value(row)), 10), true
	case *array.Uint64:
		return strconv.AppendUint(dst, c.Value(row), 10), true
	case *array.Decimal32:
		return appendPoint(dst, strconv.FormatInt(int64(c.Value(row)), 10), scaleOf(c)), true
	case *array.Decimal64:
		return appendPoint(dst, strconv.FormatInt(int64(c.Value(row)), 10), scaleOf(c)), true
	case *array.Decimal128:
		return appendPoint(dst, c.Value(row).BigInt().String(), scaleOf(c)), true
	case *array.Decimal256:
		return appendPoint(dst, c.Value(row).BigInt().String(), scaleOf(c)), true
	}
	return dst, false
}

func scaleOf(col arrow.Array) int { return int(col.DataType().(arrow.DecimalType).GetScale()) }

// appendPoint puts the decimal point into the digits of a scaled integer.
func appendPoint(dst []byte, digits string, scale int) []byte {
	if digits[0] == '-' {
		dst, digits = append(dst, '-'), digits[1:]
	}
	if scale <= 0 {
		dst = append(dst, digits...)
		for ; scale < 0 && digits != "0"; scale++ {
			dst = append(dst, '0')
		}
		return dst
	}
	whole := len(digits) - scale
	if whole > 0 {
		dst = append(append(dst, digits[:whole]...), '.')
		return append(dst, digits[whole:]...)
	}
	dst = append(dst, "0."...)
	for ; whole < 0; whole++ {
		dst = append(dst, '0')
	}
	return append(dst, digits...)
}

func appendJSONFloat(dst []byte, f float64, bits int) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(appendFloat(append(dst, '"'), f, bits), '"')
	}
	return appendFloat(dst, f, bits)
}

func appendFloat(dst []byte, f float64, bits int) []byte {
	switch abs := math.Abs(f); {
	case math.IsNaN(f):
		return append(dst, "NaN"...)
	case math.IsInf(f, 1):
		return append(dst, "Infinity"...)
	case math.IsInf(f, -1):
		return append(dst, "-Infinity"...)
	case abs != 0 && (abs < 1e-5 || abs >= 1e16):
		return strconv.AppendFloat(dst, f, 'e', -1, bits)
	case f == math.Trunc(f):
		return append(strconv.AppendFloat(dst, f, 'f', -1, bits), ".0"...)
	}
	return strconv.AppendFloat(dst, f, 'f', -1, bits)
}

func stringOf(col arrow.Array, row int) (string, bool) {
	switch c := col.(type) {
	case *array.String:
		return c.Value(row), true
	case *array.LargeString:
		return c.Value(row), true
	case *array.StringView:
		return c.Value(row), true
	}
	return "", false
}

func bytesOf(col arrow.Array, row int) ([]byte, bool) {
	switch c := col.(type) {
	case *array.Binary:
		return c.Value(row), true
	case *array.LargeBinary:
		return c.Value(row), true
	case *array.BinaryView:
		return c.Value(row), true
	case *array.FixedSizeBinary:
		return c.Value(row), true
	}
	return nil, false
}

const hexDigits = "0123456789ABCDEF"

// appendEscapedBytes writes bytes as DuckDB does: printable ASCII as it is,
// the rest as \xAB.
func appendEscapedBytes(dst, b []byte) []byte {
	for _, c := range b {
		if c >= ' ' && c <= '~' && c != '\\' && c != '"' && c != '\'' {
			dst = append(dst, c)
		} else {
			dst = append(dst, '\\', 'x', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return dst
}

// appendString appends a JSON string. Bytes that are no UTF-8 become U+FFFD.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c >= utf8.RuneSelf:
			r, n := utf8.DecodeRuneInString(s[i:])
			dst = utf8.AppendRune(dst, r)
			i += n
			continue
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c == '\r':
			dst = append(dst, '\\', 'r')
		case c == '\t':
			dst = append(dst, '\\', 't')
		case c < ' ':
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		default:
			dst = append(dst, c)
		}
		i++
	}
	return append(dst, '"')
}
