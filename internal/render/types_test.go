//go:build duckdb_arrow

package render

import (
	"encoding/json"
	"testing"

	"skein/internal/duck"
)

// TestEveryType compares what DuckDB's types become in JSON and in text.
func TestEveryType(t *testing.T) {
	cases := []struct{ sql, sqlType, json, text string }{
		{"true", "BOOLEAN", "true", "true"},
		{"(-128)::TINYINT", "TINYINT", "-128", "-128"},
		{"255::UTINYINT", "UTINYINT", "255", "255"},
		{"9223372036854775807", "BIGINT", "9223372036854775807", "9223372036854775807"},
		{"18446744073709551615::UBIGINT", "UBIGINT", "18446744073709551615", "18446744073709551615"},
		{"0.05::DECIMAL(4,2)", "DECIMAL(4,2)", "0.05", "0.05"},
		{"(-12.30)::DECIMAL(18,2)", "DECIMAL(18,2)", "-12.30", "-12.30"},
		{"12345678901234567890123456789012345.678::DECIMAL(38,3)", "DECIMAL(38,3)", "12345678901234567890123456789012345.678", "12345678901234567890123456789012345.678"},
		{"7::DECIMAL(5,0)", "DECIMAL(5,0)", "7", "7"},
		{"1.5::FLOAT", "FLOAT", "1.5", "1.5"},
		{"0.1::FLOAT", "FLOAT", "0.1", "0.1"},
		{"1::DOUBLE", "DOUBLE", "1.0", "1.0"},
		{"1e300::DOUBLE", "DOUBLE", "1e+300", "1e+300"},
		{"'nan'::DOUBLE", "DOUBLE", `"NaN"`, "NaN"},
		{"'-inf'::DOUBLE", "DOUBLE", `"-Infinity"`, "-Infinity"},
		{"'x'", "VARCHAR", `"x"`, "x"},
		{"'a\\xFF\"'::BLOB", "BLOB", `"Yf8i"`, `a\xFF\x22`},
		{"DATE '2024-02-29'", "DATE", `"2024-02-29"`, "2024-02-29"},
		{"'infinity'::DATE", "DATE", `"infinity"`, "infinity"},
		{"TIME '04:05:06.007'", "TIME", `"04:05:06.007"`, "04:05:06.007"},
		{"TIMESTAMP '2024-01-02 03:04:05'", "TIMESTAMP", `"2024-01-02T03:04:05"`, "2024-01-02T03:04:05"},
		{"TIMESTAMP_NS '2024-01-02 03:04:05.000000001'", "TIMESTAMP_NS", `"2024-01-02T03:04:05.000000001"`, "2024-01-02T03:04:05.000000001"},
		{"TIMESTAMPTZ '2024-01-02 03:04:05.5+02'", "TIMESTAMP WITH TIME ZONE", `"2024-01-02T01:04:05.5Z"`, "2024-01-02T01:04:05.5Z"},
		{"'-infinity'::TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE", `"-infinity"`, "-infinity"},
		{"INTERVAL '14 months 1 day 3 seconds'", "INTERVAL", `"1 year 2 months 1 day 00:00:03"`, "1 year 2 months 1 day 00:00:03"},
		{"INTERVAL '0 days'", "INTERVAL", `"00:00:00"`, "00:00:00"},
		{"[1, NULL, 3]", "INTEGER[]", "[1,null,3]", "[1,null,3]"},
		{"[[], ['a']]", "VARCHAR[][]", `[[],["a"]]`, `[[],["a"]]`},
		{"array_value(1, 2)", "INTEGER[2]", "[1,2]", "[1,2]"},
		{"{'a': 1, 'b c': {'d': DATE '2024-01-01'}}", `STRUCT(a INTEGER, "b c" STRUCT(d DATE))`, `{"a":1,"b c":{"d":"2024-01-01"}}`, `{"a":1,"b c":{"d":"2024-01-01"}}`},
		{"MAP {'k': 1.5::DOUBLE}", "MAP(VARCHAR, DOUBLE)", `{"k":1.5}`, `{"k":1.5}`},
		{"MAP {1: 'a'}", "MAP(INTEGER, VARCHAR)", `[{"key":1,"value":"a"}]`, `[{"key":1,"value":"a"}]`},
		{"'b'::ENUM('a', 'b')", "VARCHAR", `"b"`, "b"},
		{"union_value(n := 5)", "UNION(n INTEGER)", "5", "5"},
		{"'0190163d-8694-739b-aea5-966c26f8ad91'::UUID", "VARCHAR", `"0190163d-8694-739b-aea5-966c26f8ad91"`, "0190163d-8694-739b-aea5-966c26f8ad91"},
		{"NULL::STRUCT(a INTEGER)", "STRUCT(a INTEGER)", "null", ""},
		{"170141183460469231731687303715884105727::HUGEINT", "DECIMAL(38,0)", "170141183460469231731687303715884105727", "170141183460469231731687303715884105727"},
	}
	db, err := duck.Open(duck.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, c := range cases {
		t.Run(c.sql, func(t *testing.T) {
			// The second row keeps offsets and child arrays honest.
			s, err := conn.Query(t.Context(), "SELECT * FROM (VALUES (NULL), ("+c.sql+")) t(v)")
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			b, err := s.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			got := string(AppendJSON(nil, b.Column(0), 1))
			if !json.Valid([]byte(got)) {
				t.Errorf("not JSON: %s", got)
			}
			if name := SQLType(b.Schema().Field(0).Type); name != c.sqlType {
				t.Errorf("type %s, want %s", name, c.sqlType)
			}
			if got != c.json {
				t.Errorf("json %s, want %s", got, c.json)
			}
			if got := string(AppendText(nil, b.Column(0), 1)); got != c.text {
				t.Errorf("text %s, want %s", got, c.text)
			}
			if got := string(AppendJSON(nil, b.Column(0), 0)); got != "null" {
				t.Errorf("NULL is %s", got)
			}
		})
	}
}
