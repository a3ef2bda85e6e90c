package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"

	"skein/cmd/skein/internal/sqlsplit"
)

// scriptBytesMax bounds a script, which is read as a whole.
const scriptBytesMax = 64 << 20

// shellRowsMax is how many rows the shell shows of a result unless told
// otherwise.
const shellRowsMax = 100

type sqlCmd struct {
	Command []string `short:"c" help:"Run these statements, separated by semicolons; may be repeated." placeholder:"SQL" sep:"none" xor:"input"`
	File    string   `short:"f" help:"Run the statements of this file; - is the standard input." placeholder:"FILE" xor:"input"`
	Format  string   `help:"How to print results: table, csv, json, ndjson or line." enum:"table,csv,json,ndjson,line" default:"table" env:"SKEIN_FORMAT" placeholder:"NAME"`
	MaxRows *int64   `help:"Rows to print of each result; 0 prints all. 100 in the shell, else all." placeholder:"N"`
	Timing  *bool    `help:"Tell the time that each statement took. On in the shell, else off." negatable:""`

	Connection connectFlags `embed:""`
}

// Help is shown by kong.
func (*sqlCmd) Help() string {
	return `With neither -c nor -f it reads statements from a pipe, or starts a shell when run in a terminal.
In the shell a statement ends with a semicolon, and Ctrl-C stops the one that runs; \? tells more.
The first statement that fails ends a script, with exit code 1; the message tells line and column.

    skein sql -c 'SELECT 42 AS answer'
    skein sql -f report.sql --format csv > report.csv
    echo 'SELECT * FROM orders' | skein sql --format ndjson
    SKEIN_PASSWORD=… skein sql --addr db1:8815 --user ann --tls`
}

// Validate is called by kong.
func (c *sqlCmd) Validate() error {
	if c.MaxRows != nil && *c.MaxRows < 0 {
		return errors.New("--max-rows must be 0 or more")
	}
	return nil
}

// Run is called by kong.
func (c *sqlCmd) Run(t *terminal) error {
	cl, err := c.Connection.dial()
	if err != nil {
		return usageError{err}
	}
	defer cl.Close()
	s := &session{client: cl, out: t.out, format: c.Format}
	shell := len(c.Command) == 0 && c.File == "" && term.IsTerminal(int(t.in.Fd()))
	if shell {
		s.rows, s.timing = shellRowsMax, true
	}
	if c.MaxRows != nil {
		s.rows = *c.MaxRows
	}
	if c.Timing != nil {
		s.timing = *c.Timing
	}
	if shell {
		return newShell(s, t).run()
	}
	scripts, err := c.scripts(t.in)
	if err != nil {
		return err
	}
	if c.File != "-" {
		s.file = c.File
	}
	return runScripts(s, scripts)
}

func runScripts(s *session, scripts []string) error {
	ctx, stop := interruptible()
	defer stop()
	for _, script := range scripts {
		for _, st := range sqlsplit.Split(script) {
			if err := s.run(ctx, st); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *sqlCmd) scripts(stdin io.Reader) ([]string, error) {
	if len(c.Command) > 0 {
		return c.Command, nil
	}
	if c.File != "" && c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return nil, usageError{fmt.Errorf("--file: %w", err)}
		}
		defer f.Close()
		stdin = f
	}
	text, err := io.ReadAll(io.LimitReader(stdin, scriptBytesMax+1))
	if err != nil {
		return nil, fmt.Errorf("read the script: %w", err)
	}
	if len(text) > scriptBytesMax {
		return nil, fmt.Errorf("the script has more than %d MiB: load data with skein load", scriptBytesMax>>20)
	}
	return []string{string(text)}, nil
}
