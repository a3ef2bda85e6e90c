package sqlgen

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// typ is a class of SQL types whose values go together in expressions.
type typ int

const (
	tBool     typ = iota
	tInt          // TINYINT to BIGINT; small values, sums cannot overflow
	tBig          // BIGINT up to its ends: compared and summed, never multiplied
	tHuge         // HUGEINT
	tDouble       // DOUBLE; in tables multiples of 1/4, whose sums are exact
	tFloat        // FLOAT with NaN and infinity
	tDecimal      // DECIMAL(9,2), in expressions DECIMAL(18,4)
	tWide         // DECIMAL(30,5)
	tText         // VARCHAR
	tDate         // DATE
	tStamp        // TIMESTAMP
	tInstant      // TIMESTAMPTZ
	tTime         // TIME
	tInterval     // INTERVAL; no two values are equal but differ as text
	tUUID         // UUID
	tBlob         // BLOB
	tInts         // INTEGER[]
	tTexts        // VARCHAR[]
	tStruct       // STRUCT(x INTEGER, y VARCHAR)
	tMap          // MAP(VARCHAR, INTEGER)
	tOther        // passed on, never looked into
)

// level says how far an expression's value depends on the order of rows.
type level int

const (
	exact level = iota // and sums of it do not either
	fixed              // it does not, but sums of it may in the last digits
	noisy              // it may, in the last digits
)

// simple types take part in most expressions.
var simple = []typ{tBool, tInt, tInt, tInt, tDouble, tDecimal, tText, tText, tDate, tStamp}

// rng draws from lists.
type rng struct{ *rand.Rand }

func (r rng) pick(of ...string) string { return of[r.IntN(len(of))] }

// chance is true in percent of the cases.
func (r rng) chance(percent int) bool { return r.IntN(100) < percent }

// pools are the values of each type, as literals of that very type. They are
// few, so that values meet.
var pools = map[typ][]string{
	tBool:     {"true", "false"},
	tBig:      {"9223372036854775807::BIGINT", "(-9223372036854775808)::BIGINT", "0::BIGINT", "-1::BIGINT", "1000000000000::BIGINT", "1000000000001::BIGINT"},
	tHuge:     {"170141183460469231731687303715::HUGEINT", "-170141183460469231731687303715::HUGEINT", "0::HUGEINT", "1::HUGEINT", "18446744073709551616::HUGEINT"},
	tFloat:    {"'NaN'::FLOAT", "'Infinity'::FLOAT", "1.5::FLOAT", "-0.1::FLOAT", "3.4e10::FLOAT", "0.30000001::FLOAT"},
	tText:     {"''", "' '", "'a'", "'A'", "'b'", "'abc'", "'abd'", "'ä'", "'größe'", "'it''s'", "'100%'", "'a_b'", "'7'", "'12.5'", "'日本'", "'the quick brown fox jumps over the lazy dog'"},
	tDate:     {"DATE '2024-02-29'", "DATE '2023-12-31'", "DATE '2024-01-01'", "DATE '1969-07-20'", "DATE '2024-03-31'", "DATE '0099-05-01'"},
	tStamp:    {"TIMESTAMP '2024-02-29 23:59:59.999999'", "TIMESTAMP '2024-01-01 00:00:00'", "TIMESTAMP '2024-03-31 02:30:00'", "TIMESTAMP '1969-12-31 23:59:59.5'", "TIMESTAMP '2024-01-01 12:00:00'"},
	tInstant:  {"TIMESTAMPTZ '2024-02-29 23:59:59+00'", "TIMESTAMPTZ '2024-01-01 00:00:00+01'", "TIMESTAMPTZ '2024-03-31 01:00:00+00'", "TIMESTAMPTZ '2023-10-29 02:30:00.000001+02'"},
	tTime:     {"TIME '00:00:00'", "TIME '23:59:59.999999'", "TIME '12:30:00'", "TIME '07:05:03.25'"},
	tInterval: {"INTERVAL '1 day'", "INTERVAL '2 days 3 hours'", "INTERVAL '1 month'", "INTERVAL '14 months'", "INTERVAL '-5 days'", "INTERVAL '1500 milliseconds'"},
	tUUID:     {"'00000000-0000-0000-0000-000000000001'::UUID", "'ffffffff-ffff-4fff-bfff-ffffffffffff'::UUID", "'6f9619ff-8b86-4d01-b42d-00cf4fc964ff'::UUID"},
	tBlob:     {"''::BLOB", "'\\x00\\xFF'::BLOB", "'abc'::BLOB", "'\\x80'::BLOB"},
	tInts:     {"[]::INTEGER[]", "[1, 2, 3]", "[3, NULL, 1]", "[7]", "[NULL]::INTEGER[]", "[5, 5, 5, 2]"},
	tTexts:    {"[]::VARCHAR[]", "['a', 'b']", "['b', NULL, 'a']", "['größe', '']"},
	tStruct:   {"{'x': 1, 'y': 'a'}", "{'x': NULL::INTEGER, 'y': 'b'}", "{'x': 2, 'y': NULL::VARCHAR}", "{'x': 1, 'y': 'z'}"},
	tMap:      {"MAP {'a': 1}", "MAP {'a': 2, 'b': NULL}", "MAP {'b': 7, 'c': 8}", "MAP([]::VARCHAR[], []::INTEGER[])"},
}

// literal is a value of the type, never NULL.
func (r rng) literal(t typ) string {
	switch t {
	case tInt:
		return fmt.Sprint(r.IntN(60) - 10)
	case tDouble:
		return quarters(r.IntN(400)-100) + "::DOUBLE"
	case tDecimal:
		return fmt.Sprintf("%d.%02d::DECIMAL(9,2)", r.IntN(300)-100, r.IntN(100))
	case tWide:
		return fmt.Sprintf("%d%015d.%05d::DECIMAL(30,5)", 1+r.IntN(9), r.IntN(3), r.IntN(100000))
	}
	return r.pick(pools[t]...)
}

// quarters writes n/4 so that DuckDB reads it exactly.
func quarters(n int) string {
	sign := ""
	if n < 0 {
		sign, n = "-", -n
	}
	return fmt.Sprintf("%s%d.%02d", sign, n/4, 25*(n%4))
}

// list joins expressions by commas.
func list(of []string) string { return strings.Join(of, ", ") }
