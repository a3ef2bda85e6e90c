package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/dustin/go-humanize"

	"skein/cmd/skein/internal/client"
	"skein/cmd/skein/internal/output"
	"skein/cmd/skein/internal/sqlsplit"
)

// session runs statements and prints what they give.
type session struct {
	client *client.Client
	out    io.Writer
	format string
	width  int   // of the terminal; 0 if tables need not fit
	rows   int64 // printed at most; 0 for all
	timing bool
	file   string // of the script, for messages
}

// run runs one statement. Its errors tell their place in the script.
func (s *session) run(ctx context.Context, st sqlsplit.Statement) error {
	start := time.Now()
	res, err := s.client.Run(ctx, st.Text)
	if err != nil {
		return &sqlError{err: err, statement: st, file: s.file}
	}
	if res.Rows == nil {
		return s.changed(res.Changed, time.Since(start))
	}
	defer res.Rows.Close()
	sum, err := output.Print(ctx, s.out, res.Rows, output.Options{Format: s.format, Width: s.width, RowsMax: s.rows})
	if err != nil {
		return &sqlError{err: err, statement: st, file: s.file}
	}
	return s.footer(sum, time.Since(start))
}

// forPeople tells whether words may stand among the data.
func (s *session) forPeople() bool { return s.format == "table" || s.format == "line" }

func (s *session) changed(n int64, took time.Duration) error {
	if !s.forPeople() {
		return nil
	}
	text := "OK"
	if n >= 0 {
		text += ", " + count(n, "row") + " changed"
	}
	_, err := fmt.Fprintln(s.out, text+s.took(took, " (%s)"))
	return err
}

func (s *session) footer(sum output.Summary, took time.Duration) error {
	if !s.forPeople() && !sum.More {
		return nil
	}
	text := "(" + count(sum.Rows, "row") + s.took(took, ", %s") + ")"
	if sum.More {
		text = "(the first " + count(sum.Rows, "row") + s.took(took, ", %s") + "; there are more: start with --max-rows 0 to see all)"
	}
	if sum.Cut {
		text += "\n(columns are cut to fit the terminal: \\format line shows all)"
	}
	_, err := fmt.Fprintln(s.out, text)
	return err
}

func (s *session) took(d time.Duration, format string) string {
	if !s.timing {
		return ""
	}
	return fmt.Sprintf(format, fmt.Sprintf("%.3f s", d.Seconds()))
}

// count is such as "1 row" or "6,001,215 rows".
func count(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return humanize.Comma(n) + " " + noun + "s"
}
