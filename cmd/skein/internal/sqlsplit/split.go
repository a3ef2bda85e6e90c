package sqlsplit

import (
	"strings"
	"unicode/utf8"
)

// Statement is one statement of a script, without its semicolon and without
// space or comments before it.
type Statement struct {
	Text         string
	Line, Column int // where Text starts in the script, in characters, from 1
}

// Split cuts a script. The last statement needs no semicolon. Statements of
// nothing but space and comments are left out.
func Split(script string) []Statement {
	var out []Statement
	l := lexer{src: strings.TrimPrefix(script, "\ufeff")}
	line, column := 1, 1
	seen, start, end := 0, -1, 0 // bytes counted into line; the statement's bounds
	emit := func() {
		if start < 0 {
			return
		}
		line, column = advance(line, column, l.src[seen:start])
		seen = start
		out = append(out, Statement{Text: l.src[start:end], Line: line, Column: column})
		start = -1
	}
	for {
		t := l.next()
		switch t.kind {
		case ends:
			emit()
			return out
		case semicolon:
			emit()
		case word:
			if start < 0 {
				start = t.from
			}
			end = t.to
		}
	}
}

// Complete tells whether text ends a statement: its last semicolon is outside
// of quotes and comments, and nothing but space and comments follows.
func Complete(text string) bool {
	l := lexer{src: text}
	complete := false
	for {
		t := l.next()
		switch t.kind {
		case ends:
			return complete
		case semicolon:
			complete = true
		case blank:
			complete = complete && !t.open
		case word:
			complete = false
		}
	}
}

// advance moves a position over text.
func advance(line, column int, text string) (int, int) {
	if n := strings.Count(text, "\n"); n > 0 {
		line, column = line+n, 1
		text = text[strings.LastIndexByte(text, '\n')+1:]
	}
	return line, column + utf8.RuneCountInString(text)
}
