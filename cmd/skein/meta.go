package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"skein/cmd/skein/internal/client"
	olapv1 "skein/proto/olap/v1"
)

type metaCmd struct {
	Version metaVersionCmd `cmd:"" help:"Show the catalog's version, who leads, and whether it seems to be lost."`
	History metaHistoryCmd `cmd:"" help:"Show who changed what of the catalog, and when."`
	Backup  metaBackupCmd  `cmd:"" help:"Keep a snapshot of the catalog now."`
	Backups metaBackupsCmd `cmd:"" help:"List the snapshots of the catalog."`
	Restore metaRestoreCmd `cmd:"" help:"Bring the catalog, or a part of it, back from a snapshot."`
	Rebuild metaRebuildCmd `cmd:"" help:"Make the index anew from the data files themselves."`
	Check   metaCheckCmd   `cmd:"" help:"Compare the catalog with the object stores."`
	Repair  metaRepairCmd  `cmd:"" help:"Mend what a check finds."`
	Nodes   metaNodesCmds  `cmd:"" help:"List the nodes with their roles and shares of the ids; give one up."`
	Ring    metaRingCmd    `cmd:"" help:"Show which worker owns which share of the ids, or who owns one."`
}

// Help is shown by kong.
func (*metaCmd) Help() string {
	return `The catalog knows tables, schemas, and which files hold their rows; the rows themselves are in the object
store. The leader of the nodes keeps a snapshot of the catalog every hour. If Redis lost everything:

    skein meta version                             # says so
    skein meta restore --latest --newer --dry-run  # what would come back
    skein meta restore --latest --newer            # the newest snapshot, and files stored since
    skein meta rebuild                             # without a snapshot: all from the data files

Rows that were acknowledged and are in no file yet are in the nodes' logs; they are stored when their table is back.`
}

type metaVersionCmd struct {
	Connection connectFlags `embed:""`
}

// Run is called by kong.
func (c *metaVersionCmd) Run(t *terminal) error {
	return c.Connection.use(func(ctx context.Context, cl *client.Client) error {
		v, err := cl.Meta.GetVersion(ctx, &olapv1.GetVersionRequest{})
		if err != nil {
			return cl.Error(err)
		}
		fmt.Fprintf(t.out, "catalog   %s (this server reads %s)\n", v.GetVersion(), v.GetLayout())
		if v.GetLeader() != "" {
			fmt.Fprintf(t.out, "leader    %s %s\n", v.GetLeader(), since(v.GetLeaderSince()))
		}
		if v.GetSnapshot() != "" {
			fmt.Fprintf(t.out, "snapshot  %s, %s\n", momentText(v.GetSnapshotAt()), v.GetSnapshot())
		} else {
			fmt.Fprintln(t.out, "snapshot  none")
		}
		if v.GetLost() != "" {
			fmt.Fprintf(t.out, "LOST      %s\n", v.GetLost())
		}
		return nil
	})
}

func since(at *timestamppb.Timestamp) string {
	if at == nil {
		return ""
	}
	return "since " + momentText(at)
}

type metaHistoryCmd struct {
	Table  string `short:"t" help:"Only changes of this table, and of all." placeholder:"NAME"`
	Limit  int32  `short:"n" help:"Changes at most." default:"20" placeholder:"N"`
	Format string `help:"How to print: table, csv, json, ndjson or line." enum:"table,csv,json,ndjson,line" default:"table" env:"SKEIN_FORMAT" placeholder:"NAME"`

	Connection connectFlags `embed:""`
}

// Run is called by kong.
func (c *metaHistoryCmd) Run(t *terminal) error {
	return c.Connection.use(func(ctx context.Context, cl *client.Client) error {
		res, err := cl.Meta.ListChanges(ctx, &olapv1.ListChangesRequest{Limit: c.Limit, Table: c.Table})
		if err != nil {
			return cl.Error(err)
		}
		var rows [][]any
		for _, ch := range res.GetChanges() {
			rows = append(rows, []any{ch.GetVersion(), momentText(ch.GetAt()), ch.GetWho(), ch.GetKind(), ch.GetTable(), ch.GetWhat()})
		}
		return printRows(ctx, t, c.Format, []string{"version", "at", "who", "kind", "table", "what"}, []any{"", "", "", "", "", ""}, rows)
	})
}

type metaBackupCmd struct {
	Quiet bool `short:"q" help:"Print nothing but errors."`

	Connection connectFlags `embed:""`
}

// Run is called by kong.
func (c *metaBackupCmd) Run(t *terminal) error {
	return c.Connection.use(func(ctx context.Context, cl *client.Client) error {
		stream, err := cl.Meta.CreateSnapshot(ctx, &olapv1.CreateSnapshotRequest{})
		last, err := follow(t, cl, c.Quiet, stream, err)
		if err != nil || c.Quiet {
			return err
		}
		s := last.GetSnapshot()
		_, err = fmt.Fprintf(t.out, "%s: version %s, %s, %s with %s (%d bytes, %s)\n", s.GetKey(), s.GetVersion(),
			count(int64(s.GetTables()), "table"), count(s.GetFiles(), "file"), count(s.GetRows(), "row"), s.GetBytes(), s.GetChecksum())
		return err
	})
}

type metaBackupsCmd struct {
	Format string `help:"How to print: table, csv, json, ndjson or line." enum:"table,csv,json,ndjson,line" default:"table" env:"SKEIN_FORMAT" placeholder:"NAME"`

	Connection connectFlags `embed:""`
}

// Run is called by kong.
func (c *metaBackupsCmd) Run(t *terminal) error {
	return c.Connection.use(func(ctx context.Context, cl *client.Client) error {
		res, err := cl.Meta.ListSnapshots(ctx, &olapv1.ListSnapshotsRequest{})
		if err != nil {
			return cl.Error(err)
		}
		var rows [][]any
		for _, s := range res.GetSnapshots() {
			rows = append(rows, []any{momentText(s.GetAt()), s.GetKey(), s.GetBytes()})
		}
		return printRows(ctx, t, c.Format, []string{"at", "key", "bytes"}, []any{"", "", int64(0)}, rows)
	})
}

type metaNodesCmd struct {
	All    bool   `help:"Also nodes that have left."`
	Format string `help:"How to print: table, csv, json, ndjson or line." enum:"table,csv,json,ndjson,line" default:"table" env:"SKEIN_FORMAT" placeholder:"NAME"`

	Connection connectFlags `embed:""`
}

// Run is called by kong.
func (c *metaNodesCmd) Run(t *terminal) error {
	return c.Connection.use(func(ctx context.Context, cl *client.Client) error {
		res, err := cl.Meta.ListMembers(ctx, &olapv1.ListMembersRequest{All: c.All})
		if err != nil {
			return cl.Error(err)
		}
		var rows [][]any
		for _, m := range res.GetMembers() {
			state := "in service"
			switch {
			case m.GetLeft():
				state = "left"
			case m.GetLeader():
				state = "leads"
			}
			age := time.Duration(m.GetAgeSeconds() * float64(time.Second)).Round(time.Second)
			rows = append(rows, []any{m.GetId(), m.GetAddress(), strings.Join(m.GetRoles(), ","), state, percent(m.GetRingShare()), age.String(), int64(m.GetActiveQueries())})
		}
		return printRows(ctx, t, c.Format, []string{"node", "address", "roles", "state", "share", "heartbeat_age", "active_queries"}, []any{"", "", "", "", "", "", int64(0)}, rows)
	})
}

func percent(share float64) string { return fmt.Sprintf("%.1f%%", 100*share) }

type metaRingCmd struct {
	Table  string `short:"t" help:"With --id: who owns it." placeholder:"NAME"`
	ID     string `name:"id" help:"An id of the table." placeholder:"ID"`
	Format string `help:"How to print: table, csv, json, ndjson or line." enum:"table,csv,json,ndjson,line" default:"table" env:"SKEIN_FORMAT" placeholder:"NAME"`

	Connection connectFlags `embed:""`
}

// Run is called by kong.
func (c *metaRingCmd) Run(t *terminal) error {
	return c.Connection.use(func(ctx context.Context, cl *client.Client) error {
		res, err := cl.Meta.GetRing(ctx, &olapv1.GetRingRequest{Table: c.Table, Id: c.ID})
		if err != nil {
			return cl.Error(err)
		}
		if c.Table != "" {
			_, err := fmt.Fprintln(t.out, strings.Join(res.GetOwners(), ", then "))
			return err
		}
		var rows [][]any
		for _, s := range res.GetShares() {
			rows = append(rows, []any{s.GetNode(), int64(s.GetPoints()), percent(s.GetShare())})
		}
		return printRows(ctx, t, c.Format, []string{"node", "points", "share"}, []any{"", int64(0), ""}, rows)
	})
}
