//go:build duckdb_arrow

package coordinator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"skein/internal/fault"
	"skein/meta"
	"skein/meta/member"
)

// Unit is one that a node has open.
type Unit = member.Unit

// reachTimeout is how long a node that is to be given up has to answer.
const reachTimeout = 3 * time.Second

// takeOverTimeout is how long a replica has to store the rows of one unit.
const takeOverTimeout = 10 * time.Second

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
	if err := member.CheckSilent(nodes, node, c.opts.HeartbeatExpiry); err != nil {
		return nil, err
	}
	lacking, asked, err := c.takeOver(ctx, node, nodes)
	if err != nil {
		return nil, err
	}
	units, err := member.GiveUp(ctx, c.Meta, node, c.opts.HeartbeatExpiry, lacking...)
	if err != nil && asked != nil {
		err = fmt.Errorf("%w; asked now, they say: %w", err, asked)
	}
	return units, err
}

// keeper is a worker that may have the rows of another node's units.
type keeper interface {
	// TakeOver commits the rows of a unit; NotFound if it has none.
	TakeOver(ctx context.Context, unit string) error
}

// takeOver has the replicas in service of the node's units store their rows, and
// tells the units whose rows they lack. asked is what others answered: these
// are left to them.
func (c *Coordinator) takeOver(ctx context.Context, node string, nodes []meta.Node) (lacking []string, asked, err error) {
	units, err := member.Unflushed(ctx, c.Meta, node)
	if err != nil {
		return nil, nil, err
	}
	serving := map[string]keeper{}
	for _, n := range nodes {
		if k, ok := c.worker(n).(keeper); ok && !n.Left && n.Age <= c.opts.HeartbeatExpiry {
			serving[n.ID] = k
		}
	}
	for _, u := range units {
		k := serving[u.Replica]
		if k == nil {
			continue
		}
		limited, cancel := context.WithTimeout(ctx, takeOverTimeout)
		err := k.TakeOver(limited, u.Unit)
		cancel()
		switch {
		case err == nil:
		case fault.CodeOf(err) == fault.NotFound:
			lacking = append(lacking, u.Unit)
		default:
			asked = errors.Join(asked, fmt.Errorf("node %s: %w", u.Replica, err))
			delete(serving, u.Replica) // one answer is enough
		}
	}
	return lacking, asked, nil
}

func (c *Coordinator) reaches(ctx context.Context, n meta.Node) bool {
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	return c.worker(n).Ready(ctx) == nil
}
