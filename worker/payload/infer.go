package payload

import (
	"math"
	"strconv"
	"strings"

	"skein/meta"
)

// The fields that a record has beside its payload. Payload fields of these
// names are kept in columns with Prefix before the name.
const (
	IDColumn   = "id"
	TimeColumn = "timestamp"
	Prefix     = "payload."
)

// ColumnName is the column of a top-level payload field. Different fields have
// different columns, none of which is IDColumn or TimeColumn.
func ColumnName(field string) string {
	folded := meta.FoldName(field)
	rest := folded
	for strings.HasPrefix(rest, Prefix) {
		rest = rest[len(Prefix):]
	}
	if rest == IDColumn || rest == TimeColumn {
		return Prefix + folded
	}
	return field
}

// Columns are the columns that hold the object's fields. A field that is null
// needs none.
func (o Object) Columns() []meta.Column {
	cols := make([]meta.Column, 0, len(o.fields))
	for _, f := range o.fields {
		if f.kind == kindNull {
			continue
		}
		c := meta.Column{Name: ColumnName(f.name), Type: f.infer()}
		if c.Name != f.name {
			c.Field = f.name
		}
		cols = append(cols, c)
	}
	return cols
}

// infer is the narrowest type that holds the value.
func (v *value) infer() meta.Type {
	switch v.kind {
	case kindBool:
		return meta.Type{Kind: meta.KindBoolean}
	case kindNumber:
		return inferNumber(v.raw)
	case kindString:
		return meta.Type{Kind: meta.KindVarchar}
	case kindArray:
		elem := meta.Type{Kind: meta.KindUnknown}
		for i := range v.elems {
			elem = meta.Merge(elem, v.elems[i].infer())
		}
		return meta.Type{Kind: meta.KindList, Elem: &elem}
	case kindObject:
		return inferObject(v.fields)
	}
	return meta.Type{Kind: meta.KindUnknown}
}

// inferObject keeps an object without fields as JSON: DuckDB has no STRUCT
// without any.
func inferObject(fields []field) meta.Type {
	if len(fields) == 0 {
		return meta.Type{Kind: meta.KindJSON}
	}
	t := meta.Type{Kind: meta.KindStruct, Fields: make([]meta.Column, len(fields))}
	for i := range fields {
		t.Fields[i] = meta.Column{Name: fields[i].name, Type: fields[i].infer()}
	}
	return t
}

const (
	exactInDouble = 1 << 53 // integers up to here are exact in a DOUBLE
	decimalDigits = 38
)

func inferNumber(text []byte) meta.Type {
	if !isInteger(text) {
		if _, ok := parseDouble(text); ok {
			return meta.Type{Kind: meta.KindDouble}
		}
		return meta.Type{Kind: meta.KindJSON}
	}
	if i, ok := parseInt(text); ok {
		return meta.Type{Kind: meta.KindBigInt, Wide: i > exactInDouble || i < -exactInDouble}
	}
	if digits(text) <= decimalDigits {
		return meta.Type{Kind: meta.KindBigDecimal}
	}
	return meta.Type{Kind: meta.KindJSON}
}

func isInteger(text []byte) bool {
	for _, c := range text {
		if c == '.' || c == 'e' || c == 'E' {
			return false
		}
	}
	return true
}

func parseInt(text []byte) (int64, bool) {
	if len(text) > len("-9223372036854775808") {
		return 0, false
	}
	i, err := strconv.ParseInt(string(text), 10, 64)
	return i, err == nil
}

// parseDouble tells false for what a DOUBLE would turn into infinity or,
// though it is not, zero.
func parseDouble(text []byte) (float64, bool) {
	f, err := strconv.ParseFloat(string(text), 64)
	if err != nil || math.IsInf(f, 0) {
		return 0, false
	}
	return f, f != 0 || isZero(text)
}

func isZero(text []byte) bool {
	for _, c := range text {
		if c == 'e' || c == 'E' {
			break
		}
		if '1' <= c && c <= '9' {
			return false
		}
	}
	return true
}

func digits(text []byte) int {
	if text[0] == '-' {
		return len(text) - 1
	}
	return len(text)
}
