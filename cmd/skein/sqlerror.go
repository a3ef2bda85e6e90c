package main

import (
	"fmt"
	"strconv"
	"strings"

	"skein/cmd/skein/internal/sqlsplit"
	"skein/internal/fault"
)

// caretWidth is how much of a long line is shown around the caret.
const caretWidth = 100

// sqlError is a server's error about a statement, with the statement's place.
type sqlError struct {
	err       error
	statement sqlsplit.Statement
	file      string // of the script; may be empty
}

func (e *sqlError) Unwrap() error { return e.err }

// Error tells where in the script the mistake is and, when the server knows,
// shows its line with a caret under it.
func (e *sqlError) Error() string {
	message, _, _ := strings.Cut(e.err.Error(), "\n\nLINE ")
	var b strings.Builder
	if e.file != "" {
		b.WriteString(e.file + ": ")
	}
	line, column, ok := e.position()
	if !ok {
		if e.file != "" {
			fmt.Fprintf(&b, "line %d: ", e.statement.Line)
		}
		b.WriteString(strings.TrimSpace(message))
		return b.String()
	}
	inScript := column
	if line == 1 {
		inScript += e.statement.Column - 1
	}
	message = strings.TrimSuffix(strings.TrimSpace(message), fmt.Sprintf(" (line %d, column %d)", line, column))
	fmt.Fprintf(&b, "line %d, column %d: %s\n", e.statement.Line+line-1, inScript, message)
	text := strings.Split(e.statement.Text, "\n")[line-1]
	b.WriteString(caret(text, column))
	return b.String()
}

// position is where the server says the mistake is, in the statement.
func (e *sqlError) position() (line, column int, ok bool) {
	d := fault.Details(e.err)
	line, err := strconv.Atoi(d["line"])
	if err != nil {
		return 0, 0, false
	}
	column, err = strconv.Atoi(d["column"])
	if err != nil || line < 1 || column < 1 || line > strings.Count(e.statement.Text, "\n")+1 {
		return 0, 0, false
	}
	return line, column, true
}

func caret(text string, column int) string {
	runes := []rune(strings.TrimRight(strings.ReplaceAll(text, "\t", " "), "\r"))
	column = min(column, len(runes)+1)
	from := 0
	if column > caretWidth {
		from = column - caretWidth/2
	}
	to := min(len(runes), from+caretWidth)
	return "  " + string(runes[from:to]) + "\n  " + strings.Repeat(" ", column-1-from) + "^"
}
