package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/reeflective/readline"
	"golang.org/x/term"

	"skein/cmd/skein/internal/output"
	"skein/cmd/skein/internal/sqlsplit"
)

const shellHelp = `SQL ends with a semicolon and may take several lines. Ctrl-C stops a running statement, Ctrl-D leaves.

  \d              list tables
  \d TABLE        describe a table
  \format NAME    print results as table, csv, json, ndjson or line
  \timing         tell the time of statements, or stop to
  \?              this text
  \q              leave
`

// errQuit ends the shell.
var errQuit = errors.New("quit")

// shell reads statements from a person.
type shell struct {
	*session
	t    *terminal
	line *readline.Shell
}

func newShell(s *session, t *terminal) *shell {
	sh := &shell{session: s, t: t, line: readline.NewShell()}
	sh.line.Prompt.Primary(func() string { return "skein> " })
	sh.line.Prompt.Secondary(func() string { return "    -> " })
	sh.line.AcceptMultiline = func(text []rune) bool { return accept(string(text)) }
	if h, err := history(); err == nil {
		sh.line.History.Add("skein", h)
	} else {
		fmt.Fprintf(t.err, "skein: no history is kept: %v\n", err)
	}
	return sh
}

// accept tells whether Enter ends the input or only the line.
func accept(text string) bool {
	text = strings.TrimSpace(text)
	return text == "" || strings.HasPrefix(text, `\`) || sqlsplit.Complete(text)
}

// history opens the file of past input in the user's state directory.
func history() (readline.History, error) {
	dir := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(dir) {
		home, err := os.UserHomeDir()
		if err != nil {
			return nil, err
		}
		dir = filepath.Join(home, ".local", "state")
	}
	dir = filepath.Join(dir, "skein")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "history")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDONLY, 0o600)
	if err != nil {
		return nil, err
	}
	f.Close()
	return readline.NewHistoryFromFile(path)
}

func (s *shell) run() error {
	fmt.Fprintf(s.out, "skein at %s. \\? for help.\n", s.client.Addr())
	for {
		text, err := s.line.Readline()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, readline.ErrInterrupt):
			continue
		case err != nil:
			return fmt.Errorf("read the terminal: %w", err)
		}
		if err := s.input(strings.TrimSpace(text)); err != nil {
			if errors.Is(err, errQuit) {
				return nil
			}
			fmt.Fprintf(s.t.err, "%s\n", explain(err))
		}
	}
}

// input runs what was entered: a command of the shell, or statements up to the
// first that fails. Ctrl-C stops it.
func (s *shell) input(text string) error {
	ctx, stop := interruptible()
	defer stop()
	if strings.HasPrefix(text, `\`) {
		return s.meta(ctx, strings.Fields(strings.TrimRight(text, "; ")))
	}
	if width, _, err := term.GetSize(int(s.t.out.Fd())); err == nil {
		s.width = width
	}
	for _, st := range sqlsplit.Split(text) {
		if err := s.session.run(ctx, st); err != nil {
			return err
		}
	}
	return nil
}

func (s *shell) meta(ctx context.Context, words []string) error {
	name, args := words[0], words[1:]
	switch {
	case name == `\q` && len(args) == 0:
		return errQuit
	case name == `\?` && len(args) == 0:
		_, err := io.WriteString(s.out, shellHelp)
		return err
	case name == `\timing` && len(args) == 0:
		s.timing = !s.timing
		_, err := fmt.Fprintf(s.out, "timing is %s\n", map[bool]string{true: "on", false: "off"}[s.timing])
		return err
	case name == `\format` && len(args) == 1 && slices.Contains(output.Formats, args[0]):
		s.format = args[0]
		return nil
	case name == `\format`:
		return fmt.Errorf(`\format takes one of %s`, strings.Join(output.Formats, ", "))
	case name == `\d` && len(args) == 0:
		return listTables(ctx, s.client, s.out, "", output.Options{Format: "table"})
	case name == `\d` && len(args) == 1:
		return describeTable(ctx, s.client, s.out, strings.Trim(args[0], `"`))
	}
	return fmt.Errorf(`unknown command %s: \? lists the commands`, strings.Join(words, " "))
}
