package main

import (
	"context"
	"fmt"

	"skein/cmd/skein/internal/client"
	"skein/cmd/skein/internal/output"
	olapv1 "skein/proto/olap/v1"
)

type nodesCmd struct {
	All    bool   `help:"Also nodes that no longer send heartbeats."`
	Format string `help:"How to print: table, csv, json, ndjson or line." enum:"table,csv,json,ndjson,line" default:"table" env:"SKEIN_FORMAT" placeholder:"NAME"`

	Connection connectFlags `embed:""`
}

// Run is called by kong.
func (c *nodesCmd) Run(t *terminal) error {
	return c.Connection.use(func(ctx context.Context, cl *client.Client) error { return c.list(ctx, cl, t) })
}

func (c *nodesCmd) list(ctx context.Context, cl *client.Client, t *terminal) error {
	res, err := cl.OLAP.GetNodes(ctx, &olapv1.GetNodesRequest{IncludeInactive: c.All})
	if err != nil {
		return cl.Error(err)
	}
	var rows [][]any
	for _, n := range res.GetNodes() {
		rows = append(rows, []any{n.GetNodeId(), n.GetAddress(), n.GetStatus(), n.GetLastHeartbeat(), int64(n.GetActiveQueries())})
	}
	r := output.Rows([]string{"node_id", "address", "status", "last_heartbeat", "active_queries"}, []any{"", "", "", "", int64(0)}, rows)
	defer r.Close()
	if _, err := output.Print(ctx, t.out, r, output.Options{Format: c.Format}); err != nil {
		return err
	}
	if c.Format == "table" {
		_, err = fmt.Fprintf(t.out, "(%s, %d healthy)\n", count(int64(res.GetTotalNodes()), "node"), res.GetHealthyNodes())
	}
	return err
}
