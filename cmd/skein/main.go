package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"skein/internal/fault"
)

// The exit codes.
const (
	exitOK     = 0
	exitFailed = 1 // the operation failed
	exitUsage  = 2 // the command line, environment or configuration file is wrong
)

const description = `Skein is a distributed OLAP engine: SQL over Parquet, in one process on a laptop or on many nodes.

    skein serve                                    # a server, data in ./skein-data
    skein load --table orders 'data/*.parquet'     # a table from files
    skein sql -c 'SELECT count(*) FROM orders'     # a query
    skein sql                                      # a shell

Every command tells more: skein COMMAND --help.`

type commands struct {
	Serve   serveCmd   `cmd:"" help:"Run a server."`
	SQL     sqlCmd     `cmd:"" name:"sql" help:"Run SQL, from the command line, a file, a pipe or a shell."`
	Load    loadCmd    `cmd:"" help:"Load Parquet, CSV or JSON files into a table."`
	Tables  tablesCmd  `cmd:"" help:"List tables, or describe one."`
	Nodes   nodesCmd   `cmd:"" help:"List the cluster's nodes."`
	Backup  backupCmd  `cmd:"" help:"Back tables up, look at the backup, bring tables back."`
	Meta    metaCmd    `cmd:"" help:"Look after the catalog: version, history, snapshots, restore, nodes."`
	Bench   benchCmd   `cmd:"" help:"Measure a server beside DuckDB, and check its answers."`
	Version versionCmd `cmd:"" help:"Print the version of skein and of what it is built with."`
}

// terminal is where a command reads and writes.
type terminal struct {
	in       *os.File
	out, err *os.File
}

func main() {
	os.Exit(run(os.Args[1:], &terminal{in: os.Stdin, out: os.Stdout, err: os.Stderr}))
}

func run(args []string, t *terminal) int {
	var cmds commands
	parser, err := kong.New(&cmds,
		kong.Name("skein"), kong.Description(description), kong.Writers(t.out, t.err),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true, WrapUpperBound: 100}),
		kong.ValueFormatter(helpText), kong.Bind(t),
	)
	if err != nil {
		panic("BUG: command line: " + err.Error())
	}
	ctx, err := parser.Parse(args)
	if err != nil {
		return fail(t.err, usageError{fmt.Errorf("%w (see %s --help)", err, commandOf(err))})
	}
	return fail(t.err, ctx.Run())
}

// commandOf names the command whose line could not be parsed.
func commandOf(err error) string {
	var p *kong.ParseError
	if errors.As(err, &p) && p.Context != nil {
		if n := p.Context.Selected(); n != nil {
			return n.FullPath()
		}
	}
	return "skein"
}

// helpText is a flag's help with its default and its environment variable.
func helpText(v *kong.Value) string {
	var facts []string
	if v.HasDefault && v.Default != "" {
		facts = append(facts, "default "+v.Default)
	}
	for _, e := range v.Tag.Envs {
		facts = append(facts, "$"+e)
	}
	if len(facts) == 0 {
		return v.Help
	}
	return strings.TrimSuffix(v.Help, ".") + " (" + strings.Join(facts, ", ") + ")."
}

// usageError is a mistake in how the command was called.
type usageError struct{ error }

func (u usageError) Unwrap() error { return u.error }

// exitError is the exit code of a program that ran in this one's place and has
// told what was wrong.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// fail prints err, if any, and returns the exit code.
func fail(w io.Writer, err error) int {
	if err == nil {
		return exitOK
	}
	var e exitError
	if errors.As(err, &e) {
		return int(e)
	}
	fmt.Fprintf(w, "skein: %s\n", explain(err))
	if errors.As(err, new(usageError)) {
		return exitUsage
	}
	return exitFailed
}

// explain is err in one line; only a mistake in SQL takes more.
func explain(err error) string {
	var s *sqlError
	switch {
	case fault.CodeOf(err) == fault.Canceled:
		return "interrupted"
	case errors.As(err, &s):
		return s.Error()
	}
	return strings.Join(strings.Fields(err.Error()), " ")
}

// interruptible ends its context at the first Ctrl-C or SIGTERM; the second
// ends the process. The caller calls stop.
func interruptible() (ctx context.Context, stop context.CancelFunc) {
	ctx, stop = signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}
