package member

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"skein/internal/fault"
	"skein/meta"
)

// Unit is one that a node has open: its log may hold acknowledged rows of it
// that are in no file.
type Unit struct {
	Table, Unit string
	Replica     string // another node that has the rows, and stores them if it is in service; empty if none has
}

// Index is what GiveUp needs of meta.Store.
type Index interface {
	Nodes(ctx context.Context) ([]meta.Node, error)
	Tables(ctx context.Context) ([]meta.Table, error)
	Listing(ctx context.Context, table string) (meta.Listing, error)
	OpenUnit(ctx context.Context, table, tableUID string, u meta.OpenUnit) error
	Record(ctx context.Context, c meta.Change) (meta.Change, error)
}

// givenUp comes before the name of a node that was given up, in the units that
// it has open.
const givenUp = "given-up:"

// IsGivenUp tells that nobody waits for the rows of an open unit.
func IsGivenUp(u meta.OpenUnit) bool { return strings.HasPrefix(u.Node, givenUp) }

// Holder is the node that holds the rows of an open unit, also if it was given
// up: it may be back, and take new rows into the unit.
func Holder(u meta.OpenUnit) string { return strings.TrimPrefix(u.Node, givenUp) }

// tablesTold is how many tables the history names.
const tablesTold = 20

// Unflushed lists what a node has open, by table.
func Unflushed(ctx context.Context, c Index, node string) ([]Unit, error) {
	var units []Unit
	err := eachOpen(ctx, c, node, func(t meta.Table, o meta.OpenUnit) error {
		units = append(units, Unit{t.Name, o.Unit, o.Replica})
		return nil
	})
	return units, err
}

// GiveUp ends the wait for the unflushed rows of a node that is out of service,
// and tells which units they are of: tables can be read again, without these
// rows. If the node comes back with its disk after all, it stores them, and
// they are there again, each once. Units that a replica has which is in service
// are not given up, and not told: that node takes them over; except those of
// which it has said that it lacks their rows. FailedPrecondition if the node is
// alive.
func GiveUp(ctx context.Context, c Index, node string, expiry time.Duration, lacking ...string) ([]Unit, error) {
	nodes, err := c.Nodes(ctx)
	if err != nil {
		return nil, err
	}
	if err := CheckSilent(nodes, node, expiry); err != nil {
		return nil, err
	}
	serves := map[string]bool{}
	for _, n := range nodes {
		serves[n.ID] = !n.Left && n.Age <= expiry
	}
	var units []Unit
	kept := 0
	err = eachOpen(ctx, c, node, func(t meta.Table, o meta.OpenUnit) error {
		if serves[o.Replica] && !slices.Contains(lacking, o.Unit) {
			kept++
			return nil
		}
		units = append(units, Unit{t.Name, o.Unit, o.Replica})
		// A unit that is committed meanwhile does not become open, and one that
		// its node commits after all is not open any more.
		return gone(c.OpenUnit(ctx, t.Name, t.UID, meta.OpenUnit{Node: givenUp + node, Unit: o.Unit, Replica: o.Replica}))
	})
	if err == nil && len(units) == 0 && kept > 0 {
		return nil, fault.Newf(fault.FailedPrecondition, "all %d units that node %s has open are on a replica, too, which is in service and takes them over by itself: wait, or look at --takeover-after and the logs of the other nodes", kept, node)
	}
	if err == nil && len(units) > 0 {
		_, err = c.Record(ctx, meta.NewChange(ctx, meta.ChangeRepair, "", told(node, units, kept)))
	}
	return units, err
}

// CheckSilent is FailedPrecondition if the node was heard of lately.
func CheckSilent(nodes []meta.Node, node string, expiry time.Duration) error {
	for _, n := range nodes {
		if n.ID == node && !n.Left && n.Age <= expiry {
			return fault.Newf(fault.FailedPrecondition, "node %s was heard of %s ago: stop it, or wait until it has expired", node, n.Age.Round(time.Second))
		}
	}
	return nil
}

// gone takes the end of a table for no error.
func gone(err error) error {
	if errors.Is(err, meta.ErrTableNotFound) {
		return nil
	}
	return err
}

func eachOpen(ctx context.Context, c Index, node string, f func(t meta.Table, o meta.OpenUnit) error) error {
	tables, err := c.Tables(ctx)
	if err != nil {
		return err
	}
	for _, t := range tables {
		l, err := c.Listing(ctx, t.Name)
		if err = gone(err); err != nil {
			return err
		}
		for _, o := range l.Open {
			if o.Node != node {
				continue
			}
			if err := f(t, o); err != nil {
				return fmt.Errorf("unit %s of table %s: %w", o.Unit, t.Name, err)
			}
		}
	}
	return nil
}

func told(node string, units []Unit, kept int) string {
	var tables []string
	for _, u := range units {
		tables = append(tables, u.Table)
	}
	slices.Sort(tables)
	tables = slices.Compact(tables)
	more := ""
	if n := len(tables) - tablesTold; n > 0 {
		tables, more = tables[:tablesTold], fmt.Sprintf(" and %d more", n)
	}
	if kept > 0 {
		more += fmt.Sprintf("; %d units are left to their replicas", kept)
	}
	return fmt.Sprintf("node %s was given up: %d units of %s%s", node, len(units), strings.Join(tables, ", "), more)
}
