package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"skein/cmd/skein/internal/sqlsplit"
	"skein/internal/fault"
)

func TestSQLError(t *testing.T) {
	at := func(line, column string) error {
		return fault.New(fault.InvalidArgument, "Parser Error: no (line "+line+", column "+column+")\n\nLINE 1: whatever\n ^").With("line", line).With("column", column)
	}
	st := sqlsplit.Statement{Text: "SELECT é,\n\tx FROM t", Line: 10, Column: 5}
	cases := []struct {
		name string
		err  sqlError
		want string
	}{
		{"first line", sqlError{err: at("1", "8"), statement: st}, "line 10, column 12: Parser Error: no\n  SELECT é,\n         ^"},
		{"later line", sqlError{err: at("2", "2"), statement: st, file: "q.sql"}, "q.sql: line 11, column 2: Parser Error: no\n   x FROM t\n   ^"},
		{"at the end", sqlError{err: at("2", "99"), statement: st}, "line 11, column 99: Parser Error: no\n   x FROM t\n           ^"},
		{"no such line", sqlError{err: at("7", "1"), statement: st}, "Parser Error: no (line 7, column 1)"},
		{"no place", sqlError{err: errors.New("gone"), statement: st}, "gone"},
		{"no place, in a file", sqlError{err: errors.New("gone"), statement: st, file: "q.sql"}, "q.sql: line 10: gone"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := c.err.Error(); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

// The server's own words for the place are not said twice.
func TestSQLErrorSaysThePlaceOnce(t *testing.T) {
	err := fault.New(fault.InvalidArgument, "no table t (line 1, column 3)").With("line", "1").With("column", "3")
	e := sqlError{err: err, statement: sqlsplit.Statement{Text: "abcd", Line: 1, Column: 1}}
	if want := "line 1, column 3: no table t\n  abcd\n    ^"; e.Error() != want {
		t.Errorf("got\n%s\nwant\n%s", e.Error(), want)
	}
}

func TestCaretInLongLine(t *testing.T) {
	text := strings.Repeat("a", 500) + "X" + strings.Repeat("b", 500)
	lines := strings.Split(caret(text, 501), "\n")
	if len(lines[0]) > caretWidth+2 || lines[0][len(lines[1])-1] != 'X' {
		t.Errorf("got\n%s", strings.Join(lines, "\n"))
	}
}

// TestStopWithin: a stop outlives the signal that asked for it, but not its
// limit.
func TestStopWithin(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := stopWithin(ctx, 10*time.Millisecond, func(ctx context.Context) error {
		if ctx.Err() != nil {
			t.Error("the stop is over before it began")
		}
		<-ctx.Done()
		return ctx.Err()
	})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

func TestExitCodes(t *testing.T) {
	cases := []struct {
		err  error
		code int
		text string
	}{
		{nil, exitOK, ""},
		{errors.New("a\n  b"), exitFailed, "skein: a b\n"},
		{usageError{errors.New("bad flag")}, exitUsage, "skein: bad flag\n"},
		{fault.New(fault.Canceled, "context canceled"), exitFailed, "skein: interrupted\n"},
		{&sqlError{err: fault.New(fault.Canceled, "context canceled")}, exitFailed, "skein: interrupted\n"},
	}
	for _, c := range cases {
		var out strings.Builder
		if code := fail(&out, c.err); code != c.code || out.String() != c.text {
			t.Errorf("%v: code %d, %q", c.err, code, out.String())
		}
	}
}

func TestLoaded(t *testing.T) {
	cases := []struct {
		rows  int64
		files int
		took  time.Duration
		want  string
	}{
		{6_001_215, 8, 12300 * time.Millisecond, "loaded 6,001,215 rows from 8 files in 12.3 s (487,000 rows/s)"},
		{1, 1, time.Second, "loaded 1 row from 1 file in 1.0 s (1 row/s)"},
		{0, 1, 0, "loaded 0 rows from 1 file in 0.0 s (0 rows/s)"},
	}
	for _, c := range cases {
		if got := loaded(c.rows, c.files, c.took); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestByteSize(t *testing.T) {
	for text, want := range map[string]byteSize{"4GB": 4e9, "10GiB": 10 << 30, "512MiB": 512 << 20, "1000": 1000, "1.5kb": 1500} {
		var b byteSize
		if err := b.UnmarshalText([]byte(text)); err != nil || b != want {
			t.Errorf("%s: got %d, %v", text, b, err)
		}
	}
	for _, text := range []string{"", "much", "-1", "4 parsecs", "99999EB"} {
		var b byteSize
		if err := b.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q: got %d", text, b)
		}
	}
}

func TestIsLoopback(t *testing.T) {
	for host, want := range map[string]bool{
		"127.0.0.1": true, "::1": true, "localhost": true, "127.1.2.3": true,
		"": false, "0.0.0.0": false, "::": false, "10.0.0.1": false, "db1": false,
	} {
		if got := isLoopback(host); got != want {
			t.Errorf("%q: got %v", host, got)
		}
	}
}

func TestAccept(t *testing.T) {
	for text, want := range map[string]bool{
		"": true, "  ": true, `\d t`: true, "SELECT 1": false, "SELECT 1;": true, "SELECT ';": false, "SELECT\n1 -- x\n;": true,
	} {
		if got := accept(text); got != want {
			t.Errorf("%q: got %v", text, got)
		}
	}
}
