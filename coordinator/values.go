//go:build duckdb_arrow

package coordinator

import (
	"fmt"
	"strconv"
	"strings"

	"skein/meta"
)

// valueRows is the list of a VALUES, cut at its items, so that each is cast to
// its column as an INSERT does it, and parameters have the columns' types.
type valueRows struct {
	rows [][]valuePiece
	// plain tells that there are only constants and parameters, so that the
	// text needs no look at what it calls and reads.
	plain bool
	// nested tells that there may be queries inside.
	nested bool
}

// valuePiece is some text and what follows it.
type valuePiece struct {
	text  string
	param int // number of the parameter behind the text, from 1; 0 for none
}

// readValues reads VALUES (…), … with one item for each column; nil if the
// tokens are something else, or hold quotes that only DuckDB reads surely.
func readValues(t tokens, columns []meta.Column) *valueRows {
	p := &ddlParser{tokens: t}
	if !p.words("VALUES") {
		return nil
	}
	b, v := &valueReader{p: p, plain: true}, &valueRows{}
	for {
		if !p.sign("(") {
			return nil
		}
		b.write("(")
		for i, col := range columns {
			if i > 0 {
				b.write(", ")
			}
			if !b.item(col.Type.SQL(), i == len(columns)-1) {
				return nil
			}
		}
		b.write(")")
		b.flush(0)
		v.rows, b.pieces = append(v.rows, b.pieces), nil
		if !p.sign(",") {
			break
		}
	}
	if p.end() != nil {
		return nil
	}
	v.plain, v.nested = b.plain, b.nested
	return v
}

// constantWords are words that constants are made of.
var constantWords = map[string]bool{
	"NULL": true, "TRUE": true, "FALSE": true, "DEFAULT": true, "DATE": true, "TIME": true, "TIMESTAMP": true, "TIMESTAMPTZ": true, "INTERVAL": true,
}

// queryWords begin a query.
var queryWords = map[string]bool{
	"SELECT": true, "FROM": true, "VALUES": true, "TABLE": true, "WITH": true, "DESCRIBE": true, "SHOW": true, "SUMMARIZE": true, "PIVOT": true, "UNPIVOT": true,
}

// isConstant tells a token that can be part of nothing but a constant, unless
// a word is before it that is none.
func isConstant(t token) bool {
	switch t.kind {
	case 'w':
		return t.text[0] >= '0' && t.text[0] <= '9' || constantWords[strings.ToUpper(t.text)]
	case '"':
		return false
	}
	return true
}

// valueReader copies items from tokens to pieces.
type valueReader struct {
	p      *ddlParser
	pieces []valuePiece
	open   strings.Builder
	params int
	plain  bool
	nested bool
}

func (b *valueReader) write(s string) { b.open.WriteString(s) }

func (b *valueReader) flush(param int) {
	b.pieces = append(b.pieces, valuePiece{b.open.String(), param})
	b.open.Reset()
}

// item copies one item up to the , or ) behind it, inside a cast.
func (b *valueReader) item(sqlType string, last bool) bool {
	list := b.p.tokens.list
	b.write("CAST(")
	from, depth := 0, 0
	for i, t := range list {
		if i > 0 && t.kind == '\'' && list[i-1].kind == 'w' && list[i-1].to == t.from {
			return false // E'…' and its like
		}
		b.plain = b.plain && isConstant(t)
		b.nested = b.nested || t.kind == 'w' && queryWords[strings.ToUpper(t.text)]
		if t.kind != 's' {
			continue
		}
		switch t.text {
		case "(", "[", "{":
			depth++
		case "]", "}":
			depth--
		case "$":
			if i+1 >= len(list) || !b.param(list, &from, i, true) {
				return false
			}
		case "?":
			b.param(list, &from, i, false)
		case ")", ",":
			if depth == 0 {
				if i == 0 || (t.text == ")") != last {
					return false
				}
				b.copy(list, from, i)
				b.write(" AS " + sqlType + ")")
				b.p.tokens.list = list[i+1:]
				return true
			}
			if t.text == ")" {
				depth--
			}
		}
	}
	return false
}

// param takes the parameter at token i: ?, ?1 or $1.
func (b *valueReader) param(list []token, from *int, i int, numbered bool) bool {
	n, end := b.params+1, i+1
	if i+1 < len(list) && list[i+1].kind == 'w' && list[i+1].from == list[i].to {
		given, err := strconv.Atoi(list[i+1].text)
		if err != nil || given < 1 {
			return false
		}
		n, end, numbered = given, i+2, true
	} else if numbered {
		return false
	}
	if !numbered {
		b.params++
	}
	b.copy(list, *from, i)
	b.flush(n)
	*from = end
	return true
}

// copy writes tokens from…to as they are in the statement. DEFAULT is NULL: no
// column has another.
func (b *valueReader) copy(list []token, from, to int) {
	if to == from+1 && from == 0 && list[0].kind == 'w' && strings.EqualFold(list[0].text, "DEFAULT") {
		b.write("NULL")
		return
	}
	if to > from {
		b.write(b.p.tokens.sql[list[from].from:list[to-1].to])
	}
}

// text is a query of the rows with numbered parameters.
func (v *valueRows) text() string {
	var s strings.Builder
	for i := range v.rows {
		v.write(&s, i, nil)
	}
	return s.String()
}

// write adds a row to a VALUES; values, if not nil, stand for the parameters.
func (v *valueRows) write(s *strings.Builder, row int, values []string) {
	if s.Len() == 0 {
		s.WriteString("VALUES ")
	} else {
		s.WriteString(", ")
	}
	for _, p := range v.rows[row] {
		s.WriteString(p.text)
		switch {
		case p.param == 0:
		case values == nil:
			fmt.Fprintf(s, "$%d", p.param)
		default:
			s.WriteString(values[p.param-1])
		}
	}
}

// paramsMax is the highest number of a parameter.
func (v *valueRows) paramsMax() int {
	n := 0
	for _, row := range v.rows {
		for _, p := range row {
			n = max(n, p.param)
		}
	}
	return n
}
