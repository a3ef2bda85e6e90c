package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"golang.org/x/term"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"skein/cmd/skein/internal/client"
	"skein/internal/fault"
	olapv1 "skein/proto/olap/v1"
)

type metaRestoreCmd struct {
	Snapshot string   `arg:"" optional:"" help:"Snapshot: its key, the last part of that, or a time such as 2024-01-15T10:00:00Z, for the newest that is not later." placeholder:"SNAPSHOT"`
	Latest   bool     `help:"The newest snapshot."`
	Table    []string `short:"t" help:"Only this table; repeat it for several. Without it and --key and --missing, tables that the snapshot does not have are dropped." placeholder:"NAME"`
	Key      []string `sep:"none" help:"Only files under index keys like index:table:TABLE:id:ID:YYYY-MM-DD, with * for any text and ? for any character; repeat it for several." placeholder:"PATTERN"`
	Missing  bool     `help:"Only what is not there at all: tables, and an id's days without any file."`
	Newer    bool     `help:"Also index the files that were stored after the snapshot, by what they tell of themselves."`
	DryRun   bool     `help:"Tell what would change, and change nothing."`
	Yes      bool     `short:"y" help:"Do not ask."`
	Quiet    bool     `short:"q" help:"Print nothing but errors."`

	Connection connectFlags `embed:""`
}

// Help is shown by kong.
func (*metaRestoreCmd) Help() string {
	return `A snapshot is verified to its end before anything changes, and the catalog as it is is kept as a snapshot,
which can be restored in turn. Each table changes in one step: a restore that fails half way leaves each as it was or as it
should be, and repeating it goes on. Data files are never deleted by a restore.

    skein meta restore --latest --newer            # after the catalog was lost
    skein meta restore 2024-01-15T10:00:00Z --dry-run
    skein meta restore --latest --table users      # one table as it was; rows since leave it
    skein meta restore --latest --missing          # what is there stays
    skein meta restore --latest --key 'index:table:users:id:user-1*:2024-01-*'`
}

// Validate is called by kong.
func (c *metaRestoreCmd) Validate() error {
	if (c.Snapshot == "") != c.Latest {
		return errors.New("give one of a snapshot and --latest: skein meta backups lists them")
	}
	return nil
}

// Run is called by kong.
func (c *metaRestoreCmd) Run(t *terminal) error {
	return c.Connection.use(func(ctx context.Context, cl *client.Client) error {
		req := &olapv1.RestoreCatalogRequest{Snapshot: c.Snapshot, Tables: c.Table, Keys: c.Key, Missing: c.Missing, Newer: c.Newer, DryRun: true}
		if c.DryRun || !c.Yes {
			plan, err := c.restore(ctx, t, cl, req)
			if err != nil {
				return err
			}
			if c.DryRun || len(plan.GetTables())+len(plan.GetNewer().GetTables()) == 0 {
				return show(t, c.Quiet, plan.GetReport())
			}
			fmt.Fprint(t.err, plan.GetReport())
			if err := confirm(t, "Restore?"); err != nil {
				return err
			}
			req.Snapshot = plan.GetSnapshot() // that the answer is about
		}
		req.DryRun = false
		done, err := c.restore(ctx, t, cl, req)
		if err != nil {
			return err
		}
		if done.GetSafety() != "" {
			fmt.Fprintf(t.err, "the catalog as it was is kept in %s\n", done.GetSafety())
		}
		if done.GetProblems() != "" {
			return fault.Newf(fault.FailedPrecondition, "restored, but: %s", done.GetProblems())
		}
		return show(t, c.Quiet, done.GetReport())
	})
}

func (c *metaRestoreCmd) restore(ctx context.Context, t *terminal, cl *client.Client, req *olapv1.RestoreCatalogRequest) (*olapv1.RestoreResult, error) {
	stream, err := cl.Meta.RestoreCatalog(ctx, req)
	last, err := follow(t, cl, c.Quiet, stream, err)
	if err != nil {
		return nil, err
	}
	return last.GetResult(), nil
}

func show(t *terminal, quiet bool, report string) error {
	if quiet {
		return nil
	}
	_, err := io.WriteString(t.out, report)
	return err
}

// confirm asks on a terminal. Elsewhere the answer must be given by --yes.
func confirm(t *terminal, question string) error {
	if !term.IsTerminal(int(t.in.Fd())) {
		return usageError{errors.New("this changes the catalog and nobody can be asked: give --yes, or --dry-run to look")}
	}
	fmt.Fprintf(t.err, "%s [y/N] ", question)
	answer, err := bufio.NewReader(t.in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return fault.New(fault.Canceled, "nothing was changed")
}

type metaRebuildCmd struct {
	Table   []string `short:"t" help:"Only this table; repeat it for several." placeholder:"NAME"`
	Since   string   `help:"Only files stored since this time, such as 2024-01-15T10:00:00Z." placeholder:"TIME"`
	Scratch bool     `help:"Leave out what the index has, so that it names exactly the files that are there. Without it, what is missing is added."`
	DryRun  bool     `help:"Tell what would change, and change nothing."`
	Yes     bool     `short:"y" help:"Do not ask."`
	Quiet   bool     `short:"q" help:"Print nothing but errors."`

	Connection connectFlags `embed:""`
}

// Help is shown by kong.
func (*metaRebuildCmd) Help() string {
	return `Each data file tells of itself: its table, columns, id, day, times and settings. From these the index and the
tables are made anew when no snapshot is left. A table that is not in the catalog appears in one step. Files that wait for
their deletion, and those of dropped tables as far as the catalog remembers, stay out.

    skein meta rebuild --dry-run                   # what would be added
    skein meta rebuild --yes
    skein meta rebuild --table users --scratch     # name exactly the files that are there`
}

// Run is called by kong.
func (c *metaRebuildCmd) Run(t *terminal) error {
	req := &olapv1.RebuildIndexRequest{Tables: c.Table, Scratch: c.Scratch, DryRun: true}
	if c.Since != "" {
		at, err := time.Parse(time.RFC3339Nano, c.Since)
		if err != nil {
			return usageError{fmt.Errorf("--since %s: use a time such as 2024-01-15T10:00:00Z", c.Since)}
		}
		req.Since = timestamppb.New(at)
	}
	return c.Connection.use(func(ctx context.Context, cl *client.Client) error {
		if c.DryRun || !c.Yes {
			plan, err := c.rebuild(ctx, t, cl, req)
			if err != nil {
				return err
			}
			if c.DryRun || len(plan.GetTables()) == 0 {
				return show(t, c.Quiet, plan.GetReport())
			}
			fmt.Fprint(t.err, plan.GetReport())
			if err := confirm(t, "Rebuild?"); err != nil {
				return err
			}
		}
		req.DryRun = false
		done, err := c.rebuild(ctx, t, cl, req)
		if err != nil {
			return err
		}
		return show(t, c.Quiet, done.GetReport())
	})
}

func (c *metaRebuildCmd) rebuild(ctx context.Context, t *terminal, cl *client.Client, req *olapv1.RebuildIndexRequest) (*olapv1.RebuildResult, error) {
	stream, err := cl.Meta.RebuildIndex(ctx, req)
	last, err := follow(t, cl, c.Quiet, stream, err)
	if err != nil {
		return nil, err
	}
	return last.GetResult(), nil
}

// progressing is a message of the server that tells how far something is.
type progressing interface {
	GetProgress() *olapv1.MetaProgress
}

// follow shows the progress of a stream to its end, and returns its last
// message.
func follow[T any, P interface {
	*T
	progressing
}](t *terminal, cl *client.Client, quiet bool, stream grpc.ServerStreamingClient[T], err error) (P, error) {
	if err != nil {
		return nil, cl.Error(err)
	}
	onTerminal := !quiet && term.IsTerminal(int(t.err.Fd()))
	var last P
	for {
		m, err := stream.Recv()
		if onTerminal {
			fmt.Fprint(t.err, "\r\x1b[K")
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, cl.Error(err)
		}
		last = m
		if p := last.GetProgress(); p != nil && onTerminal {
			fmt.Fprint(t.err, progressText(p))
		}
	}
	if last == nil || last.GetProgress() != nil {
		return nil, fault.New(fault.Unavailable, "the server ended without a result; try again")
	}
	return last, nil
}

func progressText(p *olapv1.MetaProgress) string {
	switch {
	case p.GetTotal() > 0:
		return fmt.Sprintf("%s (%d of %d)", p.GetStep(), p.GetDone(), p.GetTotal())
	case p.GetDone() > 0:
		return fmt.Sprintf("%s (%d)", p.GetStep(), p.GetDone())
	}
	return p.GetStep()
}
