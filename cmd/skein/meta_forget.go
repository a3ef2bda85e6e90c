package main

import (
	"context"
	"fmt"

	"skein/cmd/skein/internal/client"
	olapv1 "skein/proto/olap/v1"
)

type metaNodesCmds struct {
	List   metaNodesCmd  `cmd:"" default:"withargs" help:"List the nodes."`
	Forget metaForgetCmd `cmd:"" help:"Let tables be read again without the unflushed rows of a node that is dead for good."`
}

type metaForgetCmd struct {
	Node   string `arg:"" help:"Name of the node."`
	DryRun bool   `help:"Tell what the node has open, and change nothing."`
	Yes    bool   `short:"y" help:"Do not ask."`
	Quiet  bool   `short:"q" help:"Print nothing but errors."`

	Connection connectFlags `embed:""`
}

// Help is shown by kong.
func (*metaForgetCmd) Help() string {
	return `Queries of a table fail as long as a node that may hold unflushed rows of it does not answer. If its disk is lost,
nobody has these rows any more: say so by this command. The node must not be alive. If it comes back with its disk after
all, it stores its rows, and they are there again, each once. Units of tables with the setting replicated whose replica
is in service are left alone: it takes them over.

    skein meta nodes forget n3 --dry-run   # tables with unflushed rows of n3
    skein meta nodes forget n3`
}

// Run is called by kong.
func (c *metaForgetCmd) Run(t *terminal) error {
	return c.Connection.use(func(ctx context.Context, cl *client.Client) error {
		if c.DryRun || !c.Yes {
			open, err := cl.Meta.ForgetNode(ctx, &olapv1.ForgetNodeRequest{Node: c.Node, DryRun: true})
			if err != nil {
				return cl.Error(err)
			}
			report := c.report("has open", open)
			if c.DryRun || len(open.GetUnits()) == 0 {
				return show(t, c.Quiet, report)
			}
			fmt.Fprint(t.err, report)
			if err := confirm(t, "Go on without these rows?"); err != nil {
				return err
			}
		}
		done, err := cl.Meta.ForgetNode(ctx, &olapv1.ForgetNodeRequest{Node: c.Node, Confirm: c.Node})
		if err != nil {
			return cl.Error(err)
		}
		return show(t, c.Quiet, c.report("was given up with", done))
	})
}

// report counts units by table.
func (c *metaForgetCmd) report(what string, r *olapv1.ForgetNodeResponse) string {
	var order []string
	count, replicated := map[string]int{}, map[string]int{}
	for _, u := range r.GetUnits() {
		if count[u.GetTable()] == 0 {
			order = append(order, u.GetTable())
		}
		count[u.GetTable()]++
		if u.GetReplica() != "" {
			replicated[u.GetTable()]++
		}
	}
	if len(order) == 0 {
		return fmt.Sprintf("%s has no unflushed rows\n", c.Node)
	}
	text := fmt.Sprintf("%s %s unflushed rows of:\n", c.Node, what)
	for _, table := range order {
		text += fmt.Sprintf("  %s  %d units", table, count[table])
		if n := replicated[table]; n > 0 {
			text += fmt.Sprintf(", %d of them on a replica, too", n)
		}
		text += "\n"
	}
	return text
}
