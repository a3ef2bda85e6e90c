package main

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"skein/cmd/skein/internal/client"
	"skein/cmd/skein/internal/output"
	olapv1 "skein/proto/olap/v1"
)

type backupCmd struct {
	Run     backupRunCmd     `cmd:"" help:"Copy what the backup misses."`
	Status  backupStatusCmd  `cmd:"" help:"Show how the automatic backup is, what ran, and which moments tables can go back to."`
	Verify  backupVerifyCmd  `cmd:"" help:"Prove that the backup would restore."`
	Restore backupRestoreCmd `cmd:"" help:"Bring tables back from the backup."`
	Watch   backupWatchCmd   `cmd:"" help:"Follow an operation that runs, to its end."`
	Cancel  backupCancelCmd  `cmd:"" help:"End an operation that runs, on whatever node."`
	Retry   backupRetryCmd   `cmd:"" help:"Try again what the automatic backup has put aside."`
}

// Help is shown by kong.
func (*backupCmd) Help() string {
	return `Nodes with --s3-backup copy the files of tables with backup_enabled by themselves. These commands do the
rest. What they begin goes on at the node if they are interrupted, until skein backup cancel. All may be repeated:
they go on where they were.

    skein backup run                               # every table, whatever its settings
    skein backup run --table users --day 2024-01-15
    skein backup watch                             # follow what runs, from anywhere
    skein backup verify                            # exit code 1 if anything is missing or wrong
    skein backup restore --dry-run                 # what a restore of all tables would copy
    skein backup restore --table users --at 2024-01-15T10:00:00Z`
}

type backupRunCmd struct {
	Table  string `short:"t" help:"Only this table." placeholder:"NAME"`
	ID     string `name:"id" help:"Only files that may hold rows of this id; with --table." placeholder:"ID"`
	Day    string `help:"Only files of this day; with --table." placeholder:"YYYY-MM-DD"`
	DryRun bool   `help:"Tell what would be copied and change nothing."`
	Quiet  bool   `short:"q" help:"Print nothing but errors."`

	Connection connectFlags `embed:""`
}

// Run is called by kong.
func (c *backupRunCmd) Run(t *terminal) error {
	return c.Connection.use(func(ctx context.Context, cl *client.Client) error {
		req := &olapv1.BackupRequest{Table: c.Table, Id: c.ID, Day: c.Day, DryRun: c.DryRun}
		stream, err := cl.Admin.Backup(ctx, req)
		return watch(ctx, t, cl, c.Quiet, stream, err)
	})
}

type backupVerifyCmd struct {
	Table string `short:"t" help:"Only this table; all with backup_enabled if not given." placeholder:"NAME"`
	Deep  bool   `help:"Read all bytes of the backup, and do not trust the checksums that the stores tell."`
	Quiet bool   `short:"q" help:"Print nothing but errors."`

	Connection connectFlags `embed:""`
}

// Run is called by kong.
func (c *backupVerifyCmd) Run(t *terminal) error {
	return c.Connection.use(func(ctx context.Context, cl *client.Client) error {
		stream, err := cl.Admin.VerifyBackup(ctx, &olapv1.VerifyBackupRequest{Table: c.Table, Deep: c.Deep})
		return watch(ctx, t, cl, c.Quiet, stream, err)
	})
}

type backupRestoreCmd struct {
	Table   string `short:"t" help:"Only this table; all of the catalog if not given." placeholder:"NAME"`
	At      string `help:"Moment to go back to: YYYY-MM-DD, the end of that day in UTC, or a time such as 2024-01-15T10:00:00Z; with --table. Rows written since leave the table." placeholder:"TIME"`
	Dropped bool   `help:"With all tables: also those that only the backup knows."`
	DryRun  bool   `help:"Tell what would be copied and change nothing."`
	Quiet   bool   `short:"q" help:"Print nothing but errors."`

	Connection connectFlags `embed:""`
}

// Run is called by kong.
func (c *backupRestoreCmd) Run(t *terminal) error {
	req := &olapv1.RestoreRequest{Table: c.Table, Dropped: c.Dropped, DryRun: c.DryRun}
	if c.At != "" {
		at, err := momentOf(c.At)
		if err != nil {
			return usageError{err}
		}
		req.At = timestamppb.New(at)
	}
	return c.Connection.use(func(ctx context.Context, cl *client.Client) error {
		stream, err := cl.Admin.Restore(ctx, req)
		return watch(ctx, t, cl, c.Quiet, stream, err)
	})
}

// momentOf reads a time, or a day, which means its end.
func momentOf(text string) (time.Time, error) {
	if day, err := time.Parse(time.DateOnly, text); err == nil {
		return day.AddDate(0, 0, 1).Add(-time.Nanosecond), nil
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return at, fmt.Errorf("--at %s: use YYYY-MM-DD or a time such as 2024-01-15T10:00:00Z", text)
	}
	return at, nil
}

type backupRetryCmd struct {
	Connection connectFlags `embed:""`
}

// Run is called by kong.
func (c *backupRetryCmd) Run(t *terminal) error {
	return c.Connection.use(func(ctx context.Context, cl *client.Client) error {
		res, err := cl.Admin.RetryParked(ctx, &olapv1.RetryParkedRequest{})
		if err != nil {
			return cl.Error(err)
		}
		_, err = fmt.Fprintf(t.out, "%s will be tried again\n", count(res.GetFiles(), "file"))
		return err
	})
}

type backupStatusCmd struct {
	Format string `help:"How to print the tables: table, csv, json, ndjson or line. All but table leave the rest out." enum:"table,csv,json,ndjson,line" default:"table" env:"SKEIN_FORMAT" placeholder:"NAME"`

	Connection connectFlags `embed:""`
}

// Run is called by kong.
func (c *backupStatusCmd) Run(t *terminal) error {
	return c.Connection.use(func(ctx context.Context, cl *client.Client) error { return c.show(ctx, cl, t) })
}

func (c *backupStatusCmd) show(ctx context.Context, cl *client.Client, t *terminal) error {
	st, err := cl.Admin.GetBackupStatus(ctx, &olapv1.GetBackupStatusRequest{})
	if err != nil {
		return cl.Error(err)
	}
	if c.Format == "table" {
		if err := c.operations(ctx, cl, t, st); err != nil {
			return err
		}
	}
	var rows [][]any
	for _, h := range st.GetTables() {
		rows = append(rows, []any{h.GetTable(), fmt.Sprint(h.GetExists()), h.GetCopies(), momentText(h.GetOldest()), momentText(h.GetNewest())})
	}
	return printRows(ctx, t, c.Format, []string{"table", "exists", "index_copies", "oldest", "newest"}, []any{"", "", int64(0), "", ""}, rows)
}

// operations prints what is for people alone.
func (c *backupStatusCmd) operations(ctx context.Context, cl *client.Client, t *terminal, st *olapv1.GetBackupStatusResponse) error {
	up := func(b bool) string {
		if b {
			return "up"
		}
		return "down"
	}
	fmt.Fprintf(t.out, "%s is in charge; primary %s, backup %s; %d files wait for the backup, %d are parked, %d must return to the primary\n",
		st.GetMode(), up(st.GetPrimaryUp()), up(st.GetBackupUp()), st.GetWaiting(), st.GetParked(), st.GetReturning())
	for _, f := range st.GetParkedFiles() {
		fmt.Fprintf(t.out, "parked: %s: %s\n", f.GetPath(), f.GetReason())
	}
	list, err := cl.Admin.ListOperations(ctx, &olapv1.ListOperationsRequest{})
	if err != nil {
		return cl.Error(err)
	}
	var rows [][]any
	for _, op := range list.GetOperations()[:min(len(list.GetOperations()), operationsShown)] {
		state := op.GetState()
		if op.GetCanceling() {
			state = "canceling"
		}
		rows = append(rows, []any{op.GetId(), momentText(op.GetStarted()), op.GetKind(), op.GetTable(), state, op.GetNode(), fmt.Sprintf("%d of %d", op.GetFiles(), op.GetFilesTotal()),
			op.GetFilesCopied(), op.GetProblems(), op.GetMessage()})
	}
	if len(rows) == 0 {
		return nil
	}
	return printRows(ctx, t, c.Format, []string{"id", "started", "kind", "table", "state", "node", "files", "copied", "problems", "message"},
		[]any{"", "", "", "", "", "", "", int64(0), int64(0), ""}, rows)
}

const operationsShown = 10

func printRows(ctx context.Context, t *terminal, format string, names []string, types []any, rows [][]any) error {
	r := output.Rows(names, types, rows)
	defer r.Close()
	_, err := output.Print(ctx, t.out, r, output.Options{Format: format})
	return err
}

func momentText(at *timestamppb.Timestamp) string {
	if at == nil {
		return ""
	}
	return at.AsTime().Format(time.RFC3339)
}
