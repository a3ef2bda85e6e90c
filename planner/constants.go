package planner

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/opcode"
	driver "github.com/pingcap/tidb/pkg/parser/test_driver"
)

// constants reads the constants that the subject is compared with, all in one
// type; ok is false if one of them is not understood.
func (s subject) constants(items ...ast.ExprNode) (values []value, ok bool) {
	whole := true
	for _, e := range items {
		v := s.constant(unwrap(e))
		if v.kind != s.kind {
			return nil, false
		}
		whole = whole && v.whole
		values = append(values, v)
	}
	for i := range values {
		values[i].whole = whole
	}
	return values, true
}

func (s subject) constant(e ast.ExprNode) value {
	if text, ok := literal(e); ok {
		return s.fromText(text)
	}
	switch s.kind {
	case numberKind:
		return constantNumber(e)
	case textKind, truthKind:
		return castConstant(e)
	case instantKind:
		if t, ok := s.instant(e); ok && plainYear(t) {
			return instantValue(t.UnixMicro())
		}
	}
	return value{}
}

// fromText reads a string constant, which DuckDB casts to the subject's type.
func (s subject) fromText(text string) value {
	switch s.kind {
	case textKind:
		return value{kind: textKind, text: text}
	case numberKind:
		if plainNumber.MatchString(text) && s.holds(text) {
			return numberValue(text)
		}
	case instantKind:
		if t, ok := parseTime(text, s.resultType); ok && plainYear(t) {
			return instantValue(t.UnixMicro())
		}
	}
	return value{}
}

// plainNumber is what all readers of numbers read alike.
var plainNumber = regexp.MustCompile(`^-?[0-9]{1,18}(\.[0-9]{1,18})?$`)

// holds tells whether the subject's type keeps the number's decimals.
func (s subject) holds(text string) bool {
	_, decimals, _ := strings.Cut(text, ".")
	if s.resultType == "DOUBLE" || s.resultType == "FLOAT" {
		return true
	}
	_, scale, _ := strings.Cut(strings.TrimSuffix(s.resultType, ")"), ",") // of DECIMAL(12,2)
	n, err := strconv.Atoi(scale)
	return len(decimals) == 0 || err == nil && len(decimals) <= n
}

// constantNumber reads a number, or one cast to a numeric type.
func constantNumber(e ast.ExprNode) value {
	e = unwrap(e)
	if child, to, ok := castOf(e); ok {
		v := constantNumber(child)
		if text, ok := literal(child); ok && plainNumber.MatchString(text) {
			v = numberValue(text)
		}
		switch {
		case to == "DOUBLE":
			return v.asDouble()
		case v.whole && (to != "FLOAT" && kindOf(to) == numberKind):
			return v // or out of range, which is an error
		}
		return value{}
	}
	text := ""
	if minus, ok := e.(*ast.UnaryOperationExpr); ok && minus.Op == opcode.Minus {
		text, e = "-", unwrap(minus.V)
	}
	v, ok := e.(*driver.ValueExpr)
	if !ok {
		return value{}
	}
	switch v.Kind() {
	case driver.KindInt64:
		return numberValue(text + strconv.FormatInt(v.GetInt64(), 10))
	case driver.KindUint64:
		return numberValue(text + strconv.FormatUint(v.GetUint64(), 10))
	case driver.KindFloat64: // written with an exponent
		f := v.GetFloat64()
		if text != "" {
			f = -f
		}
		return value{kind: numberKind, number: number{float: f}}
	case driver.KindMysqlDecimal:
		return numberValue(text + v.GetMysqlDecimal().String()).asDouble()
	}
	return value{}
}

// castConstant reads a truth or a text, which are written as casts.
func castConstant(e ast.ExprNode) value {
	child, to, ok := castOf(e)
	text, isText := literal(child)
	switch {
	case !ok || !isText:
	case to == "BOOLEAN" && (text == "t" || text == "f"):
		return truthValue(text == "t")
	case to == "VARCHAR":
		return value{kind: textKind, text: text}
	}
	return value{}
}

// castOf takes a CAST apart.
func castOf(e ast.ExprNode) (child ast.ExprNode, to string, ok bool) {
	f, ok := unwrap(e).(*ast.FuncCallExpr)
	if !ok || f.FnName.L != castFunction || len(f.Args) != 2 {
		return nil, "", false
	}
	to, ok = literal(f.Args[1])
	return f.Args[0], to, ok
}

// isNull tells a NULL, of any type.
func isNull(e ast.ExprNode) bool {
	if child, _, ok := castOf(e); ok {
		return isNull(child)
	}
	v, ok := unwrap(e).(*driver.ValueExpr)
	return ok && v.Kind() == driver.KindNull
}

// literal is the value of a plain string constant.
func literal(e ast.ExprNode) (string, bool) {
	if e == nil {
		return "", false
	}
	v, ok := unwrap(e).(*driver.ValueExpr)
	if !ok || v.Kind() != driver.KindString {
		return "", false
	}
	return v.GetString(), true
}

// instant reads a DATE or TIMESTAMP constant, or one moved by an interval, in
// the session's time zone, UTC. What DuckDB might round or read otherwise is
// not understood.
func (s subject) instant(e ast.ExprNode) (time.Time, bool) {
	e = unwrap(e)
	if b, ok := e.(*ast.BinaryOperationExpr); ok && (b.Op == opcode.Plus || b.Op == opcode.Minus) {
		t, ok := s.instant(b.L)
		unit, n, isInterval := interval(b.R)
		if !ok || !isInterval || !plainYear(t) {
			return t, false
		}
		if b.Op == opcode.Minus {
			n = -n
		}
		return move(t, unit, n), true
	}
	child, to, ok := castOf(e)
	text, isText := literal(child)
	if !ok || !isText {
		return time.Time{}, false
	}
	return parseTime(text, to)
}

// parseTime reads a constant of one of the types of time.
func parseTime(text, as string) (time.Time, bool) {
	layouts := []string{time.DateOnly}
	switch as {
	case "DATE":
	case "TIMESTAMP", "TIMESTAMP_NS":
		layouts = append(layouts, time.DateTime, "2006-01-02T15:04:05")
	case "TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ":
		layouts = append(layouts, time.DateTime, "2006-01-02T15:04:05", "2006-01-02T15:04:05Z07:00", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05Z07")
	default:
		return time.Time{}, false
	}
	for _, l := range layouts {
		if t, err := time.Parse(l, text); err == nil && t.Nanosecond()%1000 == 0 {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}

// intervalMax bounds the days, months or years of an interval.
const intervalMax = 100_000

// interval reads what DuckDB makes of INTERVAL n YEAR, MONTH or DAY.
func interval(e ast.ExprNode) (unit string, n int, ok bool) {
	f, ok := unwrap(e).(*ast.FuncCallExpr)
	if !ok || len(f.Args) != 1 {
		return "", 0, false
	}
	unit, ok = strings.CutPrefix(f.FnName.L, "to_")
	v := f.Args[0]
	if child, to, isCast := castOf(v); isCast && to == "INTEGER" {
		v = unwrap(child)
	}
	if trunc, isCall := v.(*ast.FuncCallExpr); isCall && trunc.FnName.L == "trunc" && len(trunc.Args) == 1 {
		v = trunc.Args[0]
	}
	number := constantNumber(v)
	n = int(number.float)
	return unit, n, ok && number.kind == numberKind && float64(n) == number.float && n >= -intervalMax && n <= intervalMax &&
		(unit == "years" || unit == "months" || unit == "days")
}

// move adds an interval as DuckDB does: a day that the month lacks becomes its
// last.
func move(t time.Time, unit string, n int) time.Time {
	if unit == "days" {
		return t.AddDate(0, 0, n)
	}
	if unit == "years" {
		n *= 12
	}
	first := date(t.Year(), t.Month()+time.Month(n), 1)
	last := first.AddDate(0, 1, -1).Day()
	return t.AddDate(0, 0, 1-t.Day()).AddDate(0, n, min(t.Day(), last)-1)
}
