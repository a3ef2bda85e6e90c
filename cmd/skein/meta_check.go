package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"

	"skein/cmd/skein/internal/client"
	"skein/internal/fault"
	olapv1 "skein/proto/olap/v1"
)

// checkScope is what a check looks at.
type checkScope struct {
	Table   []string      `short:"t" help:"Only this table; repeat it for several. Without it also the hash ring, and objects of no table." placeholder:"NAME"`
	From    string        `help:"Begin with the first table that is not before this name, to go on with a run that was broken off." placeholder:"NAME"`
	Footers int32         `help:"Read the footers of so many files of each table, others in each run; -1 for none." default:"1000" placeholder:"N"`
	All     bool          `help:"Read the footers of all files."`
	Deep    bool          `help:"Read all bytes of all files, in the backup too, and compare checksums."`
	MinAge  time.Duration `help:"Age from which an object that no index names is damage. It must be longer than the longest load." default:"24h" placeholder:"TIME"`
	Format  string        `help:"How to print what is found: table, csv, json, ndjson or line." enum:"table,csv,json,ndjson,line" default:"table" env:"SKEIN_FORMAT" placeholder:"NAME"`
	Quiet   bool          `short:"q" help:"Print nothing but errors."`
}

func (s *checkScope) message() *olapv1.CheckScope {
	return &olapv1.CheckScope{Tables: s.Table, From: s.From, Footers: s.Footers, AllFooters: s.All, Deep: s.Deep, MinAgeMs: s.MinAge.Milliseconds()}
}

// Validate is called by kong.
func (s *checkScope) Validate() error {
	if s.MinAge < time.Millisecond {
		return errors.New("--min-age must be at least 1ms, such as 24h")
	}
	return nil
}

type metaCheckCmd struct {
	checkScope

	Connection connectFlags `embed:""`
}

// Help is shown by kong.
func (*metaCheckCmd) Help() string {
	return `Every entry of the index is compared with its object, every object with the index, statistics with the index,
the hash ring with the nodes, and tables with backup_enabled with the backup. Of some files, or all, the footer is compared
with what the index says. Nothing is changed. The exit code is 1 if anything is wrong.

    skein meta check
    skein meta check --table users --all
    skein meta check --deep --quiet || echo damaged`
}

// Run is called by kong.
func (c *metaCheckCmd) Run(t *terminal) error {
	return c.Connection.use(func(ctx context.Context, cl *client.Client) error {
		stream, err := cl.Meta.CheckCatalog(ctx, &olapv1.CheckCatalogRequest{Scope: c.message()})
		last, err := follow(t, cl, c.Quiet, stream, err)
		if err != nil {
			return err
		}
		return c.show(ctx, t, last.GetResult())
	})
}

// show prints a result. What is wrong and not mended is an error.
func (s *checkScope) show(ctx context.Context, t *terminal, r *olapv1.CheckResult) error {
	if !s.Quiet && len(r.GetFindings()) > 0 {
		if err := s.list(ctx, t, r); err != nil {
			return err
		}
	}
	if r.GetDamage() > 0 || r.GetUnread() > 0 {
		return fault.Newf(fault.FailedPrecondition, "%s", r.GetSummary())
	}
	if s.Quiet || s.Format != "table" {
		return nil
	}
	_, err := fmt.Fprintln(t.out, r.GetSummary())
	return err
}

func (s *checkScope) list(ctx context.Context, t *terminal, r *olapv1.CheckResult) error {
	var rows [][]any
	for _, f := range r.GetFindings() {
		rows = append(rows, []any{f.GetKind(), f.GetTable(), f.GetPath(), f.GetState(), f.GetWhat(), f.GetDid()})
	}
	return printRows(ctx, t, s.Format, []string{"kind", "table", "path", "state", "what", "did"}, []any{"", "", "", "", "", ""}, rows)
}

type metaRepairCmd struct {
	checkScope
	Policy map[string]string `help:"What to do about a kind of damage: report, repair, quarantine or remove; repeat it for several. Kinds that are not named are mended as far as no row is lost." placeholder:"KIND=ACTION"`
	DryRun bool              `help:"Tell what would be done, and change nothing."`
	Yes    bool              `short:"y" help:"Do not ask."`

	Connection connectFlags `embed:""`
}

// Help is shown by kong.
func (*metaRepairCmd) Help() string {
	return `A check runs, and what it finds is mended: lost and damaged files come back from the backup or the quarantine,
entries follow the files that are there, statistics and the ring are made anew, the backup is filled up. An object that no
index names is moved to quarantine/YYYY-MM-DD/ in its bucket, with a note beside it. Nothing is deleted. Everything is noted
below metadata/checks/ before it is done. The exit code is 1 if something is left.

    skein meta repair --dry-run                              # what would be done
    skein meta repair
    skein meta repair --policy missing-object=remove --yes   # give up rows of files that are nowhere`
}

// Run is called by kong.
func (c *metaRepairCmd) Run(t *terminal) error {
	return c.Connection.use(func(ctx context.Context, cl *client.Client) error {
		req := &olapv1.RepairCatalogRequest{Scope: c.message(), Policy: c.Policy, DryRun: true}
		if c.DryRun || !c.Yes {
			plan, err := c.repair(ctx, t, cl, req)
			if err != nil {
				return err
			}
			planned := int64(0)
			for _, n := range plan.GetCounts() {
				planned += n.GetPlanned()
			}
			if c.DryRun || planned == 0 {
				return c.show(ctx, t, plan)
			}
			if err := c.list(ctx, t, plan); err != nil {
				return err
			}
			fmt.Fprintln(t.err, plan.GetSummary())
			if err := confirm(t, "Repair?"); err != nil {
				return err
			}
		}
		req.DryRun = false
		done, err := c.repair(ctx, t, cl, req)
		if err != nil {
			return err
		}
		return c.show(ctx, t, done)
	})
}

func (c *metaRepairCmd) repair(ctx context.Context, t *terminal, cl *client.Client, req *olapv1.RepairCatalogRequest) (*olapv1.CheckResult, error) {
	var stream grpc.ServerStreamingClient[olapv1.RepairCatalogResponse]
	stream, err := cl.Meta.RepairCatalog(ctx, req)
	last, err := follow(t, cl, c.Quiet, stream, err)
	if err != nil {
		return nil, err
	}
	return last.GetResult(), nil
}
