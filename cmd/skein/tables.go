package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"

	"skein/cmd/skein/internal/client"
	"skein/cmd/skein/internal/output"
	"skein/cmd/skein/internal/sqlsplit"
	"skein/internal/duck"
	olapv1 "skein/proto/olap/v1"
)

// tablesPage is how many tables are asked for at once.
const tablesPage = 100

type tablesCmd struct {
	List     listTablesCmd    `cmd:"" default:"withargs" help:"List tables with their exact sizes (what skein tables does)."`
	Describe describeTableCmd `cmd:"" help:"Show one table's columns, settings and statistics."`
}

// Help is shown by kong.
func (*tablesCmd) Help() string {
	return `Counts include rows that are stored but not yet in files.

    skein tables
    skein tables --pattern 'ord*' --format json
    skein tables describe orders`
}

type listTablesCmd struct {
	Pattern string `help:"Only tables whose name matches; * is any text and ? any character." placeholder:"PATTERN"`
	Format  string `help:"How to print: table, csv, json, ndjson or line." enum:"table,csv,json,ndjson,line" default:"table" env:"SKEIN_FORMAT" placeholder:"NAME"`

	Connection connectFlags `embed:""`
}

// Run is called by kong.
func (c *listTablesCmd) Run(t *terminal) error {
	return c.Connection.use(func(ctx context.Context, cl *client.Client) error {
		return listTables(ctx, cl, t.out, c.Pattern, output.Options{Format: c.Format})
	})
}

func listTables(ctx context.Context, cl *client.Client, w io.Writer, pattern string, o output.Options) error {
	var rows [][]any
	for page := int32(1); ; page++ {
		res, err := cl.OLAP.ListTables(ctx, &olapv1.ListTablesRequest{Pattern: pattern, Page: page, Limit: tablesPage})
		if err != nil {
			return cl.Error(err)
		}
		for _, t := range res.GetTables() {
			rows = append(rows, []any{t.GetName(), t.GetRecordCount(), t.GetFileCount(), t.GetSizeBytes(), t.GetStatus(), t.GetCreatedAt(), t.GetLastWrite()})
		}
		if len(res.GetTables()) == 0 || len(rows) >= int(res.GetTotal()) {
			break
		}
	}
	r := output.Rows([]string{"name", "records", "files", "bytes", "status", "created_at", "last_write"},
		[]any{"", int64(0), int64(0), int64(0), "", "", ""}, rows)
	defer r.Close()
	if _, err := output.Print(ctx, w, r, o); err != nil || o.Format != "table" {
		return err
	}
	_, err := fmt.Fprintf(w, "(%s)\n", count(int64(len(rows)), "table"))
	return err
}

type describeTableCmd struct {
	Table  string `arg:"" help:"The table's name."`
	Format string `help:"How to print: table, csv, json, ndjson or line. All but table leave the columns out." enum:"table,csv,json,ndjson,line" default:"table" env:"SKEIN_FORMAT" placeholder:"NAME"`

	Connection connectFlags `embed:""`
}

// Run is called by kong.
func (c *describeTableCmd) Run(t *terminal) error {
	return c.Connection.use(func(ctx context.Context, cl *client.Client) error {
		if c.Format == "table" {
			return describeTable(ctx, cl, t.out, c.Table)
		}
		return tableFacts(ctx, cl, t.out, c.Table, c.Format)
	})
}

// describeTable prints what is known of a table for people.
func describeTable(ctx context.Context, cl *client.Client, w io.Writer, table string) error {
	if err := tableFacts(ctx, cl, w, table, "line"); err != nil {
		return err
	}
	s := &session{client: cl, out: w, format: "table"}
	return s.run(ctx, sqlsplit.Statement{Text: "DESCRIBE " + duck.Ident(table), Line: 1, Column: 1})
}

func tableFacts(ctx context.Context, cl *client.Client, w io.Writer, table, format string) error {
	res, err := cl.OLAP.DescribeTable(ctx, &olapv1.DescribeTableRequest{TableName: table})
	if err != nil {
		return cl.Error(err)
	}
	var names []string
	var values []any
	add := func(name string, value any) { names, values = append(names, name), append(values, value) }
	info, stats, config := res.GetTableInfo(), res.GetStats(), res.GetTableInfo().GetConfig()
	add("name", info.GetName())
	add("status", info.GetStatus())
	add("created_at", info.GetCreatedAt())
	add("last_write", info.GetLastWrite())
	add("records", stats.GetRecordCount())
	add("files", stats.GetFileCount())
	add("bytes", stats.GetSizeBytes())
	add("oldest_record", stats.GetOldestRecord())
	add("newest_record", stats.GetNewestRecord())
	add("buffer_size", int64(config.GetBufferSize()))
	add("flush_interval_seconds", int64(config.GetFlushIntervalSeconds()))
	add("retention_days", int64(config.GetRetentionDays()))
	add("backup_enabled", fmt.Sprint(config.GetBackupEnabled()))
	add("replicated", fmt.Sprint(config.GetReplicated()))
	for _, k := range slices.Sorted(maps.Keys(config.GetProperties())) {
		add("property "+k, config.GetProperties()[k])
	}
	r := output.Rows(names, values, [][]any{values})
	defer r.Close()
	_, err = output.Print(ctx, w, r, output.Options{Format: format})
	return err
}
