//go:build duckdb_arrow

package coordinator

import (
	"strconv"
	"strings"
	"unicode"

	"skein/internal/fault"
)

// token is a word, quoted name, string, number or sign of a statement, with
// its place in the text.
type token struct {
	text     string // as written; of a quoted name or string its content
	kind     rune   // 'w' word or number, '"' quoted name, '\'' string, 's' sign
	from, to int
}

// tokenize splits the few definitions that are read here and not by DuckDB.
// Comments are left out.
func tokenize(sql string) (tokens tokens) {
	tokens.sql = sql
	for i := 0; i < len(sql); {
		from, c := i, sql[i]
		switch {
		case strings.ContainsRune(" \t\r\n\f\v", rune(c)):
			i++
			continue
		case strings.HasPrefix(sql[i:], "--"):
			if i = strings.IndexAny(sql[i:], "\r\n") + from; i < from {
				i = len(sql)
			}
			continue
		case strings.HasPrefix(sql[i:], "/*"):
			i = commentEnd(sql, i)
			continue
		case c == '\'' || c == '"':
			content, end := quoted(sql, i)
			tokens.list = append(tokens.list, token{content, rune(c), from, end})
			i = end
			continue
		case isWord(rune(c)):
			for i < len(sql) && isWord(rune(sql[i])) {
				i++
			}
			tokens.list = append(tokens.list, token{sql[from:i], 'w', from, i})
			continue
		}
		i++
		tokens.list = append(tokens.list, token{sql[from:i], 's', from, i})
	}
	return tokens
}

// commentEnd is where the comment that begins at i ends. They nest.
func commentEnd(sql string, i int) int {
	for depth := 0; i < len(sql); {
		switch {
		case strings.HasPrefix(sql[i:], "/*"):
			depth, i = depth+1, i+2
		case strings.HasPrefix(sql[i:], "*/"):
			depth, i = depth-1, i+2
		default:
			i++
		}
		if depth == 0 {
			return i
		}
	}
	return len(sql)
}

type tokens struct {
	sql  string
	list []token
}

func isWord(r rune) bool { return r == '_' || r >= 0x80 || unicode.IsLetter(r) || unicode.IsDigit(r) }

// quoted reads a quoted text that begins at i; a doubled quote stands for one.
func quoted(sql string, i int) (content string, end int) {
	quote := sql[i]
	var b strings.Builder
	for i++; i < len(sql); i++ {
		if sql[i] != quote {
			b.WriteByte(sql[i])
			continue
		}
		if i+1 >= len(sql) || sql[i+1] != quote {
			return b.String(), i + 1
		}
		b.WriteByte(quote)
		i++
	}
	return b.String(), len(sql)
}

// ddlParser reads tokens from the front.
type ddlParser struct{ tokens tokens }

func (p *ddlParser) peek() (token, bool) {
	if len(p.tokens.list) == 0 {
		return token{}, false
	}
	return p.tokens.list[0], true
}

// words takes the given keywords if they are next, all of them or none.
func (p *ddlParser) words(words ...string) bool {
	if len(p.tokens.list) < len(words) {
		return false
	}
	for i, w := range words {
		if t := p.tokens.list[i]; t.kind != 'w' || !strings.EqualFold(t.text, w) {
			return false
		}
	}
	p.tokens.list = p.tokens.list[len(words):]
	return true
}

func (p *ddlParser) sign(s string) bool {
	if t, ok := p.peek(); ok && t.kind == 's' && t.text == s {
		p.tokens.list = p.tokens.list[1:]
		return true
	}
	return false
}

// tableName takes a name, possibly behind skein.main.
func (p *ddlParser) tableName() (string, error) {
	var parts []string
	for {
		t, ok := p.peek()
		if !ok || t.kind != 'w' && t.kind != '"' {
			return "", p.unexpected("a table name")
		}
		parts = append(parts, t.text)
		p.tokens.list = p.tokens.list[1:]
		if !p.sign(".") {
			break
		}
	}
	for _, prefix := range parts[:len(parts)-1] {
		if !strings.EqualFold(prefix, "skein") && !strings.EqualFold(prefix, "main") {
			return "", fault.Newf(fault.NotFound, "schema %s does not exist; tables are in skein.main", prefix)
		}
	}
	return parts[len(parts)-1], nil
}

// parenthesized takes a list in parentheses and returns its text. It refuses
// the quotes that it does not know, E'…' and $$…$$, because DuckDB, which reads
// the text again, could find its end elsewhere.
func (p *ddlParser) parenthesized() (text string, found bool, err error) {
	open, _ := p.peek()
	if !p.sign("(") {
		return "", false, nil
	}
	last := open
	for depth := 1; ; {
		t, ok := p.peek()
		if !ok {
			return "", true, p.unexpected(")")
		}
		if t.text == "$" && t.kind == 's' || t.kind == '\'' && last.kind == 'w' && last.to == t.from {
			return "", true, p.unexpected("plain quotes")
		}
		last, p.tokens.list = t, p.tokens.list[1:]
		switch {
		case t.kind == 's' && t.text == "(":
			depth++
		case t.kind == 's' && t.text == ")":
			if depth--; depth == 0 {
				return p.tokens.sql[open.to:t.from], true, nil
			}
		}
	}
}

// options takes (key = value, …).
func (p *ddlParser) options() (map[string]string, error) {
	m := map[string]string{}
	if !p.sign("(") {
		return nil, p.unexpected("(")
	}
	for {
		key, ok := p.peek()
		if !ok || key.kind == 's' {
			return nil, p.unexpected("an option")
		}
		p.tokens.list = p.tokens.list[1:]
		if !p.sign("=") {
			return nil, p.unexpected("=")
		}
		value, ok := p.peek()
		if !ok || value.kind == 's' {
			return nil, p.unexpected("a value")
		}
		p.tokens.list = p.tokens.list[1:]
		m[strings.ToLower(key.text)] = value.text
		if p.sign(")") {
			return m, nil
		}
		if !p.sign(",") {
			return nil, p.unexpected(", or )")
		}
	}
}

// end takes the semicolon; nothing may follow.
func (p *ddlParser) end() error {
	for p.sign(";") {
	}
	if t, ok := p.peek(); ok {
		line, column := place(p.tokens.sql, t.from)
		return fault.Newf(fault.InvalidArgument, "syntax error at or near %q (line %d, column %d); one statement at a time", t.text, line, column).
			With("line", strconv.Itoa(line)).With("column", strconv.Itoa(column))
	}
	return nil
}

func (p *ddlParser) unexpected(want string) error {
	at, near := len(p.tokens.sql), "the end"
	if t, ok := p.peek(); ok {
		at, near = t.from, strconv.Quote(t.text)
	}
	line, column := place(p.tokens.sql, at)
	return fault.Newf(fault.InvalidArgument, "syntax error at or near %s: expected %s (line %d, column %d)", near, want, line, column).
		With("line", strconv.Itoa(line)).With("column", strconv.Itoa(column))
}

func positive(s string) (int32, error) {
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil || n < 0 {
		return 0, fault.Newf(fault.InvalidArgument, "%q is no whole number from 0", s)
	}
	return int32(n), nil
}

func boolean(s string) (bool, error) {
	switch strings.ToLower(s) {
	case "true", "on", "1":
		return true, nil
	case "false", "off", "0":
		return false, nil
	}
	return false, fault.Newf(fault.InvalidArgument, "%q is neither true nor false", s)
}
