package sqlsplit

import "strings"

type kind int

const (
	ends kind = iota
	blank
	semicolon
	word // anything that a statement is made of
)

type token struct {
	kind     kind
	from, to int  // bytes
	open     bool // a quote or comment that the text does not end
}

// lexer finds the ends of quotes and comments; it does not tell other tokens
// apart.
type lexer struct {
	src string
	pos int
}

func (l *lexer) next() token {
	from := l.pos
	if from >= len(l.src) {
		return token{kind: ends, from: from, to: from}
	}
	k, open := word, false
	rest := l.src[from:]
	switch c := rest[0]; {
	case isSpace(c):
		k = blank
		l.pos++
	case c == ';':
		k = semicolon
		l.pos++
	case strings.HasPrefix(rest, "--"):
		k = blank
		l.pos = from + lineLength(rest)
	case strings.HasPrefix(rest, "/*"):
		k = blank
		open = l.blockComment()
	case c == '\'' || c == '"':
		open = l.quoted(c, false)
	case (c == 'e' || c == 'E') && len(rest) > 1 && rest[1] == '\'':
		l.pos++
		open = l.quoted('\'', true)
	case c == '$':
		open = l.dollar()
	case isWord(c):
		for l.pos < len(l.src) && (isWord(l.src[l.pos]) || l.src[l.pos] == '$') {
			l.pos++
		}
	default:
		l.pos++
	}
	return token{kind: k, from: from, to: l.pos, open: open}
}

func lineLength(s string) int {
	if i := strings.IndexByte(s, '\n'); i >= 0 {
		return i
	}
	return len(s)
}

// quoted passes over a quoted token whose quote is at pos. Doubled quotes stay
// inside; so do quotes after a backslash when escapes is set.
func (l *lexer) quoted(quote byte, escapes bool) (open bool) {
	for l.pos++; l.pos < len(l.src); l.pos++ {
		switch c := l.src[l.pos]; {
		case c == '\\' && escapes:
			l.pos++
		case c != quote:
		case l.pos+1 < len(l.src) && l.src[l.pos+1] == quote:
			l.pos++
		default:
			l.pos++
			return false
		}
	}
	l.pos = len(l.src)
	return true
}

// blockComment passes over a comment, which may hold others.
func (l *lexer) blockComment() (open bool) {
	depth := 0
	for l.pos < len(l.src) {
		switch rest := l.src[l.pos:]; {
		case strings.HasPrefix(rest, "/*"):
			depth++
			l.pos += 2
		case strings.HasPrefix(rest, "*/"):
			depth--
			l.pos += 2
			if depth == 0 {
				return false
			}
		default:
			l.pos++
		}
	}
	return true
}

// dollar passes over $$text$$ or $tag$text$tag$; any other $ stands alone.
func (l *lexer) dollar() (open bool) {
	i := l.pos + 1
	for i < len(l.src) && isWord(l.src[i]) && (i > l.pos+1 || !isDigit(l.src[i])) {
		i++
	}
	if i >= len(l.src) || l.src[i] != '$' {
		l.pos++
		return false
	}
	tag := l.src[l.pos : i+1]
	end := strings.Index(l.src[i+1:], tag)
	if end < 0 {
		l.pos = len(l.src)
		return true
	}
	l.pos = i + 1 + end + len(tag)
	return false
}

func isSpace(c byte) bool {
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v'
}
func isDigit(c byte) bool { return c >= '0' && c <= '9' }
func isWord(c byte) bool {
	return c == '_' || isDigit(c) || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}
