package meta

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/duckdb/duckdb-go/v2"
	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func openDuckDB(t *testing.T) *sql.DB {
	t.Helper()
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// readAs stores the literal as from in a column and reads it as to.
func readAs(db *sql.DB, literal, column string, from, to Type) (typ string, value any, err error) {
	expr := ReadExpr(column, from, to)
	query := fmt.Sprintf("SELECT typeof(v) = typeof(%s), typeof(v), v FROM (SELECT %s AS v FROM (SELECT CAST(%s AS %s) AS %s, 1 AS other))",
		MissingExpr(to), expr, literal, from.SQL(), QuoteIdent(column))
	var same bool
	if err := db.QueryRow(query).Scan(&same, &typ, &value); err != nil {
		return "", nil, fmt.Errorf("%s\n%w", query, err)
	}
	if !same {
		return "", nil, fmt.Errorf("%s\nhas type %s, not %s", query, typ, to.SQL())
	}
	return typ, value, nil
}

func TestReadExpr(t *testing.T) {
	db := openDuckDB(t)
	col := func(name string, t Type) Column { return Column{Name: name, Type: t} }
	for _, tc := range []struct {
		name     string
		literal  string
		from, to Type
		want     any
	}{
		{"same", "1", leaf(KindBigInt), leaf(KindBigInt), int64(1)},
		{"wide is no conversion", "9007199254740993", leaf(KindBigInt), wide, int64(9007199254740993)},
		{"widened", "1", leaf("INTEGER"), leaf(KindDouble), 1.0},
		{"unknown", "NULL", leaf(KindUnknown), leaf("DATE"), nil},
		{"unknown to struct", "NULL", leaf(KindUnknown), structOf(col("a", leaf("DATE"))), nil},
		{"text to json", "'a\"b'", leaf(KindVarchar), leaf(KindJSON), `"a\"b"`},
		{"text that looks like json", "'{}'", leaf(KindVarchar), leaf(KindJSON), `"{}"`},
		{"wide to json", "9007199254740993", wide, leaf(KindJSON), "9007199254740993"},
		{"big decimal to json", "99999999999999999999999999999999999999", leaf(KindBigDecimal), leaf(KindJSON), "99999999999999999999999999999999999999"},
		{"boolean to json", "true", leaf(KindBoolean), leaf(KindJSON), "true"},
		{"null to json", "NULL", leaf(KindBigInt), leaf(KindJSON), nil},
		{"json stays", `'{"a":  1}'`, leaf(KindJSON), leaf(KindJSON), `{"a":  1}`},
		{"struct to json", `{'a': 1, 'b': NULL}`, structOf(col("a", leaf(KindBigInt)), col("b", leaf("DATE"))), leaf(KindJSON), `{"a":1,"b":null}`},
		{"null struct to json", `NULL`, structOf(col("a", leaf(KindJSON))), leaf(KindJSON), nil},
		{"json in struct to json", `{'it''s "a"': '{"x":0.12345678901234567890123}', 'b': NULL}`,
			structOf(col(`it's "a"`, leaf(KindJSON)), col("b", leaf(KindJSON))), leaf(KindJSON),
			`{"it's \"a\"":{"x":0.12345678901234567890123},"b":null}`},
		{"json in list to json", `['"a"', NULL, '1']`, list(leaf(KindJSON)), leaf(KindJSON), `["a",null,1]`},
		{"empty list of json to json", `[]`, list(leaf(KindJSON)), leaf(KindJSON), `[]`},
		{"null list of json to json", `NULL`, list(leaf(KindJSON)), leaf(KindJSON), nil},
		{"json three deep", `[[{'a': '[1]'}], NULL, []]`, list(list(structOf(col("a", leaf(KindJSON))))), leaf(KindJSON), `[[{"a":[1]}],null,[]]`},
		{"field to json", `{'a': 'x'}`, structOf(col("a", leaf(KindVarchar))), structOf(col("a", leaf(KindJSON))), map[string]any{"a": `"x"`}},
		{"field of json stays", `{'a': '1', 'b': 2}`, structOf(col("a", leaf(KindJSON)), col("b", leaf("INTEGER"))),
			structOf(col("a", leaf(KindJSON)), col("b", leaf(KindBigInt))), map[string]any{"a": `1`, "b": int64(2)}},
		{"fields added and reordered", `{'A': 1, 'x"y': 2}`, structOf(col("A", leaf("INTEGER")), col(`x"y`, leaf("INTEGER"))),
			structOf(col(`x"y`, leaf(KindDouble)), col("n", list(leaf("DATE"))), col("a", leaf("INTEGER"))), map[string]any{"a": int32(1), `x"y`: 2.0, "n": nil}},
		{"null struct stays null", `NULL`, structOf(col("a", leaf("INTEGER"))), structOf(col("a", leaf(KindBigInt)), col("b", leaf("DATE"))), nil},
		{"list widened", `[1, NULL]`, list(leaf("INTEGER")), list(leaf(KindDouble)), []any{1.0, nil}},
		{"list of unknown", `[NULL, NULL]`, list(leaf(KindUnknown)), list(leaf(KindBigInt)), []any{nil, nil}},
		{"list of unknown to structs", `[NULL]`, list(leaf(KindUnknown)), list(structOf(col("a", leaf(KindBigInt)))), []any{nil}},
		{"list of unknown to json", `[NULL, NULL]`, list(leaf(KindUnknown)), leaf(KindJSON), `[null,null]`},
		{"empty list of unknown", `[]`, list(leaf(KindUnknown)), list(leaf(KindBigInt)), []any{}},
		{"null list of unknown", `NULL`, list(leaf(KindUnknown)), list(leaf(KindBigInt)), nil},
		{"lists in lists", `[[1], [], NULL]`, list(list(leaf("INTEGER"))), list(list(leaf(KindJSON))), []any{[]any{"1"}, []any{}, nil}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, column := range []string{"c", `we"ird c.ol`, "_e0", "_E1", "select"} {
				_, got, err := readAs(db, tc.literal, column, tc.from, tc.to)
				if err != nil {
					t.Fatal(err)
				}
				if diff := gocmp.Diff(tc.want, got); diff != "" {
					t.Errorf("column %s: -want +got:\n%s", column, diff)
				}
			}
		})
	}
}

func TestMissingExpr(t *testing.T) {
	db := openDuckDB(t)
	typ := structOf(Column{Name: `a"b`, Type: list(leaf(KindUnknown))})
	var isNull bool
	if err := db.QueryRow("SELECT " + MissingExpr(typ) + " IS NULL").Scan(&isNull); err != nil || !isNull {
		t.Errorf("%v, %v", isNull, err)
	}
}

// Whatever a column was stored as, and whatever its table's column became by
// merging, its values mean the same.
func TestReadExprKeepsMeaning(t *testing.T) {
	db := openDuckDB(t)
	rapid.Check(t, func(rt *rapid.T) {
		from := drawType(rt, 3)
		to := Merge(Merge(drawType(rt, 3), from), drawType(rt, 3))
		literal, want := drawValue(rt, from)
		_, got, err := readAs(db, literal, "c", from, to)
		if err != nil {
			rt.Fatal(err)
		}
		if diff := gocmp.Diff(want, meaning(rt, got, to)); diff != "" {
			rt.Fatalf("%s as %s read as %s: -want +got:\n%s", literal, from.SQL(), ReadExpr("c", from, to), diff)
		}
	})
}

// drawValue draws a literal of type t and what it means: nil, a bool, a text,
// a *big.Rat's text for numbers, []any, or map[string]any without the NULLs.
func drawValue(rt *rapid.T, t Type) (literal string, want any) {
	if t.Kind == KindUnknown || rapid.IntRange(0, 4).Draw(rt, "null") == 0 {
		return "NULL", nil
	}
	pick := func(literals ...string) string { return rapid.SampledFrom(literals).Draw(rt, "value") }
	switch t.Kind {
	case KindList:
		literals, values := []string{}, []any{}
		for range rapid.IntRange(0, 3).Draw(rt, "length") {
			l, v := drawValue(rt, t.elem())
			literals, values = append(literals, l), append(values, v)
		}
		return "[" + strings.Join(literals, ", ") + "]", values
	case KindStruct:
		literals, values := []string{}, map[string]any{}
		for _, f := range t.Fields {
			l, v := drawValue(rt, f.Type)
			literals = append(literals, QuoteLiteral(f.Name)+": "+l)
			if v != nil {
				values[FoldName(f.Name)] = v
			}
		}
		return "{" + strings.Join(literals, ", ") + "}", values
	case KindJSON:
		text := pick(`1`, `"a"`, `{"a": [1, "it's"], "b": {}}`, `123456789012345678901234567890.5`, `[]`, `"{}"`)
		return QuoteLiteral(text), jsonMeaning(rt, text)
	case KindVarchar:
		text := pick("", "a", "null", `{"a":1}`, "it's \"x\"\\", "日本\n")
		return QuoteLiteral(text), text
	case KindBoolean:
		text := pick("true", "false")
		return text, text == "true"
	case KindDouble:
		return number(pick("0.1", "-2.5e300", "9007199254740992", "5e-324"))
	case KindFloat:
		return number(pick("0.5", "-2.25", "16777216"))
	case KindBigDecimal:
		return number(pick("99999999999999999999999999999999999999", "-1", "9223372036854775808"))
	case KindBigInt:
		if t.Wide {
			return number(pick("9007199254740993", "-9223372036854775808"))
		}
		return number(pick("9007199254740992", "-1", "0"))
	}
	return number(pick("0", "127"))
}

func number(literal string) (string, any) {
	f, ok := new(big.Rat).SetString(literal)
	if !ok {
		panic("BUG: " + literal)
	}
	if strings.ContainsAny(literal, ".e") {
		d, _ := f.Float64()
		f.SetFloat64(d)
		literal = fmt.Sprintf("CAST('%s' AS DOUBLE)", literal)
	}
	return literal, f.String()
}

// meaning is what DuckDB's value v of a column of type t means.
func meaning(rt *rapid.T, v any, t Type) any {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		values := make([]any, len(v))
		for i, e := range v {
			values[i] = meaning(rt, e, t.elem())
		}
		return values
	case map[string]any:
		values := map[string]any{}
		for _, f := range t.Fields {
			if m := meaning(rt, v[f.Name], f.Type); m != nil {
				values[FoldName(f.Name)] = m
			}
		}
		return values
	case string:
		if t.Kind == KindJSON {
			return jsonMeaning(rt, v)
		}
		return v
	case bool:
		return v
	case float32:
		return new(big.Rat).SetFloat64(float64(v)).String()
	case float64:
		return new(big.Rat).SetFloat64(v).String()
	case duckdb.Decimal:
		return new(big.Rat).SetInt(v.Value).String()
	}
	f, ok := new(big.Rat).SetString(fmt.Sprint(v))
	if !ok {
		rt.Fatalf("%T %v is no number", v, v)
	}
	return f.String()
}

func jsonMeaning(rt *rapid.T, text string) any {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil || d.More() {
		rt.Fatalf("%s is not one JSON value: %v", text, err)
	}
	return plain(v)
}

func plain(v any) any {
	switch v := v.(type) {
	case json.Number:
		return exactly(v)
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
	case map[string]any:
		for key, e := range v {
			delete(v, key)
			if e = plain(e); e != nil {
				v[FoldName(key)] = e
			}
		}
	}
	return v
}

// exactly reads a JSON number: as DOUBLE when DuckDB's shortest form of one
// was written, else to the last digit.
func exactly(n json.Number) string {
	f, ok := new(big.Rat).SetString(n.String())
	if !ok {
		panic("BUG: " + n.String())
	}
	if d, err := n.Float64(); err == nil && len(n) < 25 && strings.ContainsAny(n.String(), ".e") {
		f.SetFloat64(d)
	}
	return f.String()
}
