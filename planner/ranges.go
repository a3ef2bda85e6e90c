package planner

import (
	"cmp"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/pingcap/tidb/pkg/parser/ast"
)

// valueKind is what values are compared as; those of different kinds are not.
type valueKind int

const (
	unknownKind valueKind = iota // no value
	numberKind
	textKind
	truthKind
	instantKind
)

// value is a constant or a bound. The zero value is one that is not known.
type value struct {
	kind    valueKind
	text    string // of a text
	integer int64  // of an instant, in microseconds since 1970, a truth (0 or 1) and a whole number
	number
}

// number is approximated by float. DuckDB compares numbers as integers,
// decimals, FLOATs or DOUBLEs, and the tree does not always tell as which; so
// numbers that are too near each other to be sure do not compare.
type number struct {
	float float64
	whole bool // it is the integer, in every type that it is compared as
	sure  bool // at most 15 digits: float tells it from all others such
	short bool // compared as FLOAT
}

const (
	sureDigits = 15    // a DOUBLE keeps decimals of so many apart
	doubleGap  = 1e-14 // relative distances from which rounding does not matter
	floatGap   = 1e-6
	tiniest    = 1e-37
)

func truthValue(truth bool) value {
	if truth {
		return value{kind: truthKind, integer: 1}
	}
	return value{kind: truthKind}
}

func instantValue(microseconds int64) value { return value{kind: instantKind, integer: microseconds} }

// compare orders v and w; known is false where that depends on what is not
// known.
func (v value) compare(w value) (order int, known bool) {
	switch {
	case v.kind != w.kind || v.kind == unknownKind:
		return 0, false
	case v.kind == textKind:
		return strings.Compare(v.text, w.text), true
	case v.kind != numberKind || v.whole && w.whole:
		return cmp.Compare(v.integer, w.integer), true
	}
	gap := doubleGap
	switch {
	case v.short || w.short:
		gap = floatGap
	case v.sure && w.sure:
		return cmp.Compare(v.float, w.float), true
	}
	far := math.Abs(v.float-w.float) > gap*max(math.Abs(v.float), math.Abs(w.float))+tiniest
	return cmp.Compare(v.float, w.float), far
}

// numberValue reads a decimal number without exponent.
func numberValue(text string) value {
	v := value{kind: numberKind}
	digits := 0
	for i := range len(text) {
		if c := text[i]; '0' <= c && c <= '9' && (digits > 0 || c > '0') {
			digits++
		}
	}
	var err error
	if v.sure = digits <= sureDigits; !strings.Contains(text, ".") {
		if v.integer, err = strconv.ParseInt(text, 10, 64); err == nil {
			v.whole, v.float = true, float64(v.integer)
			return v
		}
	}
	if v.float, err = strconv.ParseFloat(text, 64); err != nil {
		return value{}
	}
	return v
}

// asDouble is v where it is or may be a DOUBLE.
func (v value) asDouble() value {
	v.whole = false
	return v
}

// boundValue reads a bound of a column of the type. TIMESTAMP_NS is rounded to
// microseconds, up if up is set.
func boundValue(text, columnType string, up bool) value {
	switch kindOf(columnType) {
	case textKind:
		if text != "" {
			return value{kind: textKind, text: text}
		}
	case numberKind:
		if columnType != "DOUBLE" && columnType != "FLOAT" {
			return numberValue(text)
		}
		f, err := strconv.ParseFloat(text, 64)
		if err == nil {
			return value{kind: numberKind, number: number{float: f, sure: true, short: columnType == "FLOAT"}}
		}
	case truthKind:
		if text == "0" || text == "1" {
			return truthValue(text == "1")
		}
	case instantKind:
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return instantValue(microseconds(n, columnType, up))
		}
	}
	return value{}
}

const microsecondsPerDay = 24 * 60 * 60 * 1_000_000

// microseconds are those of a count of days, micro- or nanoseconds. Days that
// no timestamp holds, such as the infinite ones, become its least or greatest.
func microseconds(n int64, columnType string, up bool) int64 {
	switch columnType {
	case "DATE":
		if n > math.MaxInt64/microsecondsPerDay {
			return math.MaxInt64
		}
		return max(n, math.MinInt64/microsecondsPerDay) * microsecondsPerDay
	case "TIMESTAMP_NS":
		q := n / 1000
		if n%1000 != 0 && (n > 0) == up {
			q += int64(cmp.Compare(n, 0))
		}
		return q
	}
	return n
}

// kindOf is what values of a column of the type are compared as.
func kindOf(columnType string) valueKind {
	switch columnType {
	case "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "FLOAT", "DOUBLE":
		return numberKind
	case "VARCHAR":
		return textKind
	case "BOOLEAN":
		return truthKind
	case "DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ", "TIMESTAMP_NS":
		return instantKind
	}
	if strings.HasPrefix(columnType, "DECIMAL(") {
		return numberKind
	}
	return unknownKind
}

// rangeOf returns what reads what is known of the table's ith column in a
// file.
func (t *Table) rangeOf(i int) func(*File) Range {
	isID := t.is(i, t.IDColumn) && t.Columns[i].Type == "VARCHAR" // only there is equality in SQL that of ids
	return func(f *File) Range {
		switch {
		case isID && f.HasID:
			return Range{Min: f.ID, Max: f.ID, NoNulls: true}
		case f.Ranges == nil:
			return Range{}
		}
		return f.Ranges.Range(i)
	}
}

func (t *Table) is(i int, name string) bool {
	return name != "" && fold(t.Columns[i].Name) == fold(name)
}

// boundsOf returns what reads the least and greatest value of the ith column
// in a file; some is false where the file has none.
func (t *Table) boundsOf(i int) func(*File) (least, greatest value, some bool) {
	columnType, read := t.Columns[i].Type, t.rangeOf(i)
	timed := t.is(i, t.TimeColumn) && kindOf(columnType) == instantKind && columnType != "TIMESTAMP_NS"
	return func(f *File) (least, greatest value, some bool) {
		r := read(f)
		if timed && !f.MinTime.IsZero() && !f.MaxTime.IsZero() {
			return instantValue(f.MinTime.UnixMicro()), instantValue(f.MaxTime.UnixMicro()), !r.AllNulls
		}
		return boundValue(r.Min, columnType, false), boundValue(r.Max, columnType, true), !r.AllNulls
	}
}

// subject is what a condition compares with constants: a column, or what rises
// with it.
type subject struct {
	kind       valueKind
	resultType string // of the expression
	derived    bool   // no plain column
	bounds     func(*File) (least, greatest value, some bool)
}

// subject understands a column, date_trunc of one, and its cast to a DATE or
// TIMESTAMP.
func (p *pruner) subject(e ast.ExprNode) (subject, bool) {
	if i, ok := p.column(e); ok {
		t := p.table.Columns[i].Type
		return subject{kind: kindOf(t), resultType: t, bounds: p.table.boundsOf(i)}, kindOf(t) != unknownKind
	}
	call, ok := unwrap(e).(*ast.FuncCallExpr)
	if !ok || len(call.Args) != 2 || call.FnName.L != "date_trunc" && call.FnName.L != castFunction {
		return subject{}, false
	}
	column, word := call.Args[0], call.Args[1]
	if call.FnName.L == "date_trunc" {
		column, word = word, column
	}
	name, ok := literal(word)
	i, isColumn := p.column(column)
	if !ok || !isColumn || kindOf(p.table.Columns[i].Type) != instantKind {
		return subject{}, false
	}
	if call.FnName.L == castFunction {
		return p.casted(i, name)
	}
	return p.truncated(i, strings.ToLower(name))
}

// casted is the cast of a time to another type of time.
func (p *pruner) casted(i int, to string) (subject, bool) {
	switch to {
	case "DATE":
		s, ok := p.truncated(i, "day")
		s.resultType = to
		return s, ok
	case "TIMESTAMP", "TIMESTAMP WITH TIME ZONE":
		return p.rising(i, to, func(t time.Time) time.Time { return t }), true
	}
	return subject{}, false
}

func (p *pruner) truncated(i int, unit string) (subject, bool) {
	truncate, to := truncations[unit], p.table.Columns[i].Type
	if truncate == nil || to == "DATE" && shorterThanDay[unit] {
		return subject{}, false
	}
	if to == "DATE" || to == "TIMESTAMP_NS" {
		to = "TIMESTAMP"
	}
	return p.rising(i, to, truncate), true
}

// rising is a function of the ith column, a time, that rises with it.
func (p *pruner) rising(i int, to string, of func(time.Time) time.Time) subject {
	apply := func(v value) value {
		t := time.UnixMicro(v.integer).UTC()
		if v.kind != instantKind || !plainYear(t) {
			return value{}
		}
		return instantValue(of(t).UnixMicro())
	}
	column := p.table.boundsOf(i)
	bounds := func(f *File) (least, greatest value, some bool) {
		least, greatest, some = column(f)
		return apply(least), apply(greatest), some
	}
	return subject{kind: instantKind, resultType: to, derived: true, bounds: bounds}
}

// plainYear tells that calendars agree on t: it is after they were reformed,
// and finite.
func plainYear(t time.Time) bool { return t.Year() >= 1700 && t.Year() <= 9999 }

// truncations are those of date_trunc in UTC.
var truncations = map[string]func(time.Time) time.Time{
	"second":  func(t time.Time) time.Time { return t.Truncate(time.Second) },
	"minute":  func(t time.Time) time.Time { return t.Truncate(time.Minute) },
	"hour":    func(t time.Time) time.Time { return t.Truncate(time.Hour) },
	"day":     func(t time.Time) time.Time { return date(t.Year(), t.Month(), t.Day()) },
	"week":    func(t time.Time) time.Time { return date(t.Year(), t.Month(), t.Day()-(int(t.Weekday())+6)%7) },
	"month":   func(t time.Time) time.Time { return date(t.Year(), t.Month(), 1) },
	"quarter": func(t time.Time) time.Time { return date(t.Year(), t.Month()-(t.Month()-1)%3, 1) },
	"year":    func(t time.Time) time.Time { return date(t.Year(), 1, 1) },
}

// shorterThanDay are units by which DuckDB 1.5 truncates a DATE with mistakes.
var shorterThanDay = map[string]bool{"second": true, "minute": true, "hour": true}

func date(year int, month time.Month, day int) time.Time {
	return time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
}
