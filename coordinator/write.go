//go:build duckdb_arrow

package coordinator

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"skein/internal/fault"
	"skein/meta"
	nodev1 "skein/proto/node/v1"
	"skein/worker/payload"
)

// Write stores records of one table. When it returns nil all are durable. Bad
// records are found before any is stored; the error's detail "record" tells
// which, from 0.
func (c *Coordinator) Write(ctx context.Context, table string, records []Record) error {
	if err := c.may(ctx, ToWrite); err != nil {
		return err
	}
	name, err := meta.ValidateTableName(table)
	if err != nil {
		return err
	}
	checked := make([]*nodev1.Record, len(records))
	for i, r := range records {
		if checked[i], err = c.check(r); err != nil {
			return fault.Newf(fault.CodeOf(err), "%w", err).With("record", strconv.Itoa(i))
		}
	}
	t, err := c.Meta.Table(ctx, name)
	if err != nil {
		return err
	}
	if !t.Schema().Records {
		return fault.Newf(fault.InvalidArgument, "table %s has declared columns and takes no records; load it in bulk", name)
	}
	shares, err := c.shares(ctx, name, checked)
	if err != nil {
		return err
	}
	g, groupCtx := errgroup.WithContext(ctx)
	for _, s := range shares {
		g.Go(func() error { return c.append(groupCtx, t, s) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	c.counters.wrote(len(records))
	return nil
}

func (c *Coordinator) check(r Record) (*nodev1.Record, error) {
	if err := meta.ValidateID(r.ID); err != nil {
		return nil, err
	}
	if y := r.Timestamp.UTC().Year(); y < 1 || y > 9999 {
		return nil, fault.Newf(fault.InvalidArgument, "timestamp in year %d; years 1 to 9999 can be stored", y)
	}
	if len(r.Payload) > c.opts.RecordBytesMax {
		return nil, fault.Newf(fault.TooLarge, "payload of %d bytes; the most is %d", len(r.Payload), c.opts.RecordBytesMax)
	}
	if len(r.Payload) == 0 {
		r.Payload = []byte("{}")
	}
	if _, err := payload.Parse(r.Payload); err != nil {
		return nil, err
	}
	return &nodev1.Record{Id: r.ID, TimestampUs: r.Timestamp.UnixMicro(), Payload: r.Payload}, nil
}

// share is the records that one worker owns.
type share struct {
	owners  []string // the owner, then the nodes that stand in for it
	records []*nodev1.Record
}

func (c *Coordinator) shares(ctx context.Context, table string, records []*nodev1.Record) (map[string]*share, error) {
	_, place, err := c.view(ctx)
	if err != nil {
		return nil, err
	}
	shares := map[string]*share{}
	for _, r := range records {
		owners := place.Owners(table, r.Id, ownersTried)
		if len(owners) == 0 {
			return nil, fault.New(fault.Unavailable, "no worker is alive to take writes; retry in a moment")
		}
		if shares[owners[0]] == nil {
			shares[owners[0]] = &share{owners: owners}
		}
		s := shares[owners[0]]
		s.records = append(s.records, r)
	}
	return shares, nil
}

// appendTimeout bounds one worker's part of a write; a worker whose buffer is
// full refuses long before.
const appendTimeout = time.Minute

// ownersTried is how many nodes of the ring a write is offered to.
const ownersTried = 3

// append stores a share with the first of its owners that can be reached. Any
// node may hold any row, so standing in is always right; but once a node may
// have got the records, no other is tried, or they could be stored twice.
func (c *Coordinator) append(ctx context.Context, t meta.Table, s *share) error {
	nodes, err := c.workers(ctx)
	if err != nil {
		return err
	}
	var last error
	for _, id := range s.owners {
		n, ok := nodes[id]
		if !ok {
			last = fault.Newf(fault.Unavailable, "worker %s is not alive", id)
			continue
		}
		w := c.worker(n)
		if last = w.Ready(ctx); last != nil {
			if ctx.Err() != nil { // the caller's doing, not the worker's
				return last
			}
			c.members.suspect(id)
			continue
		}
		call, cancel := context.WithTimeout(ctx, appendTimeout)
		err := w.Append(call, &nodev1.AppendRequest{Table: t.Name, TableUid: t.UID, Records: s.records})
		cancel()
		if err != nil {
			return fmt.Errorf("table %s, worker %s: %w", t.Name, id, err)
		}
		return nil
	}
	return fmt.Errorf("no worker takes the write: %w", last)
}

// Flush makes all workers turn a table's buffers into files.
func (c *Coordinator) Flush(ctx context.Context, table string) error {
	nodes, err := c.workers(ctx)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, n := range nodes {
		g.Go(func() error { return c.worker(n).Flush(ctx, table) })
	}
	return g.Wait()
}
