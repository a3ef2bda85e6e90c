package meta

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// ReadExpr is the DuckDB expression that reads a column, stored as from, as
// type to. to is from merged with other types. NULL stays NULL, and JSON text
// inside the column is embedded in outer JSON as it is, never as a string.
func ReadExpr(column string, from, to Type) string {
	return convert(QuoteIdent(column), from, to, 0)
}

// MissingExpr is the DuckDB expression of a column that a file does not have.
func MissingExpr(to Type) string {
	return "CAST(NULL AS " + to.SQL() + ")"
}

// QuoteIdent writes a name as a DuckDB identifier. DuckDB has no identifier
// that is empty or holds a NUL.
func QuoteIdent(name string) string {
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

// QuoteLiteral writes s as a DuckDB string literal.
func QuoteLiteral(s string) string {
	return `'` + strings.ReplaceAll(s, `'`, `''`) + `'`
}

// convert is ReadExpr for any expression x; depth counts the lambdas around
// it, whose parameters need different names.
func convert(x string, from, to Type, depth int) string {
	switch {
	case from.sameStorage(to):
		return x
	case from.Kind == KindUnknown:
		return MissingExpr(to)
	case to.Kind == KindJSON:
		return jsonText(x, from, depth)
	case from.Kind == KindStruct && to.Kind == KindStruct:
		return convertStruct(x, from, to, depth)
	case from.Kind == KindList && to.Kind == KindList:
		return transform(x, depth, func(e string) string {
			return convert(e, from.elem(), to.elem(), depth+1)
		})
	}
	return fmt.Sprintf("CAST(%s AS %s)", x, to.SQL())
}

func convertStruct(x string, from, to Type, depth int) string {
	fields := make([]string, len(to.Fields))
	for i, f := range to.Fields {
		value := MissingExpr(f.Type)
		if j := columnIndex(from.Fields, f.Name); j >= 0 {
			value = convert(field(x, from.Fields[j].Name), from.Fields[j].Type, f.Type, depth)
		}
		fields[i] = QuoteIdent(f.Name) + " := " + value
	}
	return fmt.Sprintf("CASE WHEN %s IS NULL THEN NULL ELSE struct_pack(%s) END", x, strings.Join(fields, ", "))
}

// jsonText is the JSON text of x as VARCHAR; NULL if x is. What holds JSON
// text already is put together as text: to_json would write that text as a
// string, and parsing it would round its numbers.
func jsonText(x string, from Type, depth int) string {
	switch {
	case from.Kind == KindJSON:
		return x
	case !holdsJSON(from):
		return fmt.Sprintf("CAST(to_json(%s) AS VARCHAR)", x)
	case from.Kind == KindList:
		texts := transform(x, depth, func(e string) string {
			return jsonOrNull(e, from.elem(), depth+1)
		})
		return fmt.Sprintf("'[' || array_to_string(%s, ',') || ']'", texts)
	}
	parts := make([]string, len(from.Fields))
	for i, f := range from.Fields {
		parts[i] = QuoteLiteral(jsonKey(f.Name)) + " || " + jsonOrNull(field(x, f.Name), f.Type, depth)
	}
	return fmt.Sprintf("CASE WHEN %s IS NULL THEN NULL ELSE '{' || %s || '}' END", x, strings.Join(parts, " || ',' || "))
}

// jsonOrNull is jsonText with the text null for NULL.
func jsonOrNull(x string, from Type, depth int) string {
	return fmt.Sprintf("COALESCE(%s, 'null')", jsonText(x, from, depth))
}

func field(x, name string) string {
	return fmt.Sprintf("struct_extract(%s, %s)", x, QuoteLiteral(name))
}

func transform(x string, depth int, body func(elem string) string) string {
	param := fmt.Sprintf("_e%d", depth)
	return fmt.Sprintf("list_transform(%s, lambda %s: %s)", x, param, body(param))
}

// holdsJSON tells whether a value of type t has JSON text in it.
func holdsJSON(t Type) bool {
	switch t.Kind {
	case KindJSON:
		return true
	case KindList:
		return holdsJSON(t.elem())
	case KindStruct:
		for _, f := range t.Fields {
			if holdsJSON(f.Type) {
				return true
			}
		}
	}
	return false
}

// jsonKey is name as the key of a JSON object, with its colon.
func jsonKey(name string) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(name); err != nil {
		panic("BUG: a string has no JSON form: " + err.Error())
	}
	return strings.TrimSuffix(b.String(), "\n") + ":"
}
