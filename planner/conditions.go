package planner

import (
	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/opcode"
)

// test tells whether a file may hold a row of some kind. nil says yes of every
// file: the condition is not understood.
type test func(*File) bool

func never(*File) bool { return false }

func both(a, b test) test {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return func(f *File) bool { return a(f) && b(f) }
}

func either(a, b test) test {
	if a == nil || b == nil {
		return nil
	}
	return func(f *File) bool { return a(f) || b(f) }
}

// may tests whether the condition can be true, or false if truth is, for some
// row of a file. A condition may be NULL too, so one that cannot be true need
// not be false.
func (p *pruner) may(e ast.ExprNode, truth bool) test {
	switch e := e.(type) {
	case *ast.ParenthesesExpr:
		return p.may(e.Expr, truth)
	case *ast.UnaryOperationExpr:
		if e.Op == opcode.Not || e.Op == opcode.Not2 {
			return p.may(e.V, !truth)
		}
	case *ast.BinaryOperationExpr:
		return p.mayBinary(e, truth)
	case *ast.PatternInExpr:
		return p.mayIn(e, truth != e.Not)
	case *ast.BetweenExpr:
		return p.mayBetween(e, truth != e.Not)
	case *ast.IsNullExpr:
		return p.mayNull(e.Expr, truth != e.Not)
	case *ast.ColumnNameExpr:
		if s, ok := p.subject(e); ok && s.kind == truthKind {
			return s.compare(opcode.EQ, []value{truthValue(truth)})
		}
	}
	return nil
}

// Comparisons with their sides exchanged, and those that are true where they
// are false and nothing is NULL.
var (
	mirrored = map[opcode.Op]opcode.Op{opcode.EQ: opcode.EQ, opcode.NE: opcode.NE, opcode.LT: opcode.GT, opcode.GT: opcode.LT, opcode.LE: opcode.GE, opcode.GE: opcode.LE}
	inverse  = map[opcode.Op]opcode.Op{opcode.EQ: opcode.NE, opcode.NE: opcode.EQ, opcode.LT: opcode.GE, opcode.GE: opcode.LT, opcode.GT: opcode.LE, opcode.LE: opcode.GT}
)

func (p *pruner) mayBinary(e *ast.BinaryOperationExpr, truth bool) test {
	switch e.Op {
	case opcode.LogicAnd, opcode.LogicOr:
		join := both
		if (e.Op == opcode.LogicOr) == truth {
			join = either
		}
		return join(p.may(e.L, truth), p.may(e.R, truth))
	}
	op := e.Op
	if _, ok := mirrored[op]; !ok {
		return nil
	}
	if !truth {
		op = inverse[op]
	}
	if s, ok := p.subject(e.L); ok {
		return p.mayCompare(s, op, e.R)
	}
	if s, ok := p.subject(e.R); ok {
		return p.mayCompare(s, mirrored[op], e.L)
	}
	if isNull(e.L) || isNull(e.R) {
		return never
	}
	return nil
}

func (p *pruner) mayCompare(s subject, op opcode.Op, e ast.ExprNode) test {
	if isNull(e) {
		return never
	}
	values, ok := s.constants(e)
	if !ok {
		return nil
	}
	return s.compare(op, values)
}

// listMax bounds the lists of IN that are understood: each file is compared
// with each value.
const listMax = 1_000

// mayIn tests IN, or NOT IN if truth is false.
func (p *pruner) mayIn(e *ast.PatternInExpr, truth bool) test {
	s, ok := p.subject(e.Expr)
	if !ok || e.Sel != nil || len(e.List) > listMax {
		return nil
	}
	var items []ast.ExprNode
	for _, item := range e.List {
		if isNull(item) && !truth {
			return never // NOT IN is never true beside a NULL
		}
		if !isNull(item) {
			items = append(items, item)
		}
	}
	values, ok := s.constants(items...)
	if !ok {
		return nil
	}
	if truth {
		return s.compare(opcode.EQ, values)
	}
	var all test
	for _, v := range values {
		all = both(all, s.compare(opcode.NE, []value{v}))
	}
	return all
}

// mayBetween tests BETWEEN, or NOT BETWEEN if truth is false.
func (p *pruner) mayBetween(e *ast.BetweenExpr, truth bool) test {
	s, ok := p.subject(e.Expr)
	if !ok {
		return nil
	}
	ends := []test{never, never} // what compares with a NULL
	var known []ast.ExprNode
	for _, end := range []ast.ExprNode{e.Left, e.Right} {
		if !isNull(end) {
			known = append(known, end)
		}
	}
	values, ok := s.constants(known...)
	if !ok {
		return nil
	}
	for i, end := range []ast.ExprNode{e.Left, e.Right} {
		if isNull(end) {
			continue
		}
		op := []opcode.Op{opcode.GE, opcode.LE}[i]
		if !truth {
			op = inverse[op]
		}
		ends[i] = s.compare(op, values[:1])
		values = values[1:]
	}
	if truth {
		return both(ends[0], ends[1])
	}
	return either(ends[0], ends[1])
}

// mayNull tests IS NULL, or IS NOT NULL if truth is false.
func (p *pruner) mayNull(e ast.ExprNode, truth bool) test {
	i, ok := p.column(e)
	if !ok || truth && p.nullable {
		return nil
	}
	read := p.table.rangeOf(i)
	if truth {
		return func(f *File) bool { return !read(f).NoNulls }
	}
	return func(f *File) bool { return !read(f).AllNulls }
}

// compare tests whether a value of the subject can stand in that relation to
// one of the values.
func (s subject) compare(op opcode.Op, values []value) test {
	if s.derived && op == opcode.NE {
		return nil // DuckDB 1.5 finds some such comparisons true of a NULL
	}
	return func(f *File) bool {
		least, greatest, some := s.bounds(f)
		if !some {
			return false
		}
		for _, v := range values {
			if mayRelate(op, least, greatest, v) {
				return true
			}
		}
		return false
	}
}

// mayRelate tells whether a value from least to greatest can stand in the
// relation to v.
func mayRelate(op opcode.Op, least, greatest, v value) bool {
	low, lowKnown := least.compare(v)
	high, highKnown := greatest.compare(v)
	switch op {
	case opcode.EQ:
		return (!lowKnown || low <= 0) && (!highKnown || high >= 0)
	case opcode.NE:
		return !lowKnown || !highKnown || low != 0 || high != 0
	case opcode.LT:
		return !lowKnown || low < 0
	case opcode.LE:
		return !lowKnown || low <= 0
	case opcode.GT:
		return !highKnown || high > 0
	case opcode.GE:
		return !highKnown || high >= 0
	}
	return true
}
