//go:build duckdb_arrow

package coordinator

import (
	"context"
	"time"

	"skein/internal/fault"
	"skein/meta"
	"skein/meta/member"
)

// Unit is one that a node has open.
type Unit = member.Unit

// reachTimeout is how long a node that is to be given up has to answer.
const reachTimeout = 3 * time.Second

// Unflushed lists the units that queries wait for if a node does not answer.
func (c *Coordinator) Unflushed(ctx context.Context, node string) ([]Unit, error) {
	if err := c.may(ctx, ToRead); err != nil {
		return nil, err
	}
	return member.Unflushed(ctx, c.Meta, node)
}

// GiveUp lets tables be read again without the unflushed rows of a node that is
// dead for good, and tells which units they are of. confirm is the node's name
// once more. If the node comes back with its disk, so do the rows.
func (c *Coordinator) GiveUp(ctx context.Context, node, confirm string) ([]Unit, error) {
	if err := c.may(ctx, ToDefine); err != nil {
		return nil, err
	}
	if node == "" || confirm != node {
		return nil, fault.Newf(fault.InvalidArgument, "acknowledged rows that only node %q holds would not be read any more; name it once more to confirm", node)
	}
	nodes, err := c.Meta.Nodes(ctx)
	if err != nil {
		return nil, err
	}
	for _, n := range nodes {
		if n.ID == node && c.reaches(ctx, n) {
			return nil, fault.Newf(fault.FailedPrecondition, "node %s answers at %s: stop it first", node, n.Address)
		}
	}
	return member.GiveUp(ctx, c.Meta, node, c.opts.HeartbeatExpiry)
}

func (c *Coordinator) reaches(ctx context.Context, n meta.Node) bool {
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	return c.worker(n).Ready(ctx) == nil
}
