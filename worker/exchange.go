//go:build duckdb_arrow

package worker

import (
	"context"
	"fmt"
	"strings"

	"skein/internal/duck"
	"skein/internal/fault"
	nodev1 "skein/proto/node/v1"
)

// sharesMax bounds the shares of one read, and readsMax the reads of a
// fragment.
const (
	sharesMax = 4096
	readsMax  = 256
)

// read makes the view of one stage's rows: those kept here are read in place,
// others are fetched into a temporary table first.
func (r *running) read(ctx context.Context, source Source, h *held, queryID string, s *nodev1.StageRead) error {
	if err := checkStageRead(s, queryID); err != nil {
		return err
	}
	var parts []string
	var away []*nodev1.KeptShare
	for _, share := range s.Shares {
		if !source.Local(share.NodeId) {
			away = append(away, share)
			continue
		}
		k, err := h.local(share.Read)
		if err != nil {
			return lostNode(share.NodeId, err)
		}
		parts = append(parts, "SELECT "+castColumns(s.Columns)+k.from(share.Read))
	}
	if len(away) > 0 {
		table := "temp.main." + duck.Ident("fetched for "+s.View)
		if err := r.fetch(ctx, source, "fetched for "+s.View, s.Columns, away); err != nil {
			return err
		}
		parts = append(parts, "SELECT "+castColumns(s.Columns)+" FROM "+table)
	}
	if len(parts) == 0 {
		parts = []string{emptySelect(&nodev1.TableScan{Columns: s.Columns})}
	}
	_, err := r.conn.Exec(ctx, "CREATE TEMP VIEW "+duck.Ident(s.View)+" AS "+strings.Join(parts, " UNION ALL "))
	return err
}

// local is table, of a query that may not be held.
func (h *held) local(read *nodev1.KeptRead) (*kept, error) {
	if h == nil {
		return nil, errNotHeld
	}
	return h.table(read)
}

func checkStageRead(s *nodev1.StageRead, queryID string) error {
	if len(s.Columns) == 0 {
		return fault.New(fault.InvalidArgument, "a stage's rows must have columns")
	}
	if len(s.Shares) > sharesMax {
		return fault.Newf(fault.InvalidArgument, "%d shares, at most %d are possible", len(s.Shares), sharesMax)
	}
	for _, share := range s.Shares {
		if err := checkRead(share.Read); err != nil {
			return err
		}
		if share.Read.QueryId != queryID {
			return fault.Newf(fault.InvalidArgument, "rows of query %s, not of the fragment's", share.Read.QueryId)
		}
	}
	return nil
}

// castColumns gives columns exactly their names and types.
func castColumns(columns []*nodev1.Column) string {
	exprs := make([]string, len(columns))
	for i, c := range columns {
		name := duck.Ident(c.Name)
		exprs[i] = "CAST(" + name + " AS " + c.Type + ") AS " + name
	}
	return strings.Join(exprs, ", ")
}

// fetch loads other nodes' rows into a temporary table. Its columns have the
// final types: the appender casts what travelled as text.
func (r *running) fetch(ctx context.Context, source Source, table string, columns []*nodev1.Column, shares []*nodev1.KeptShare) error {
	defs := make([]string, len(columns))
	for i, c := range columns {
		defs[i] = duck.Ident(c.Name) + " " + c.Type
	}
	if _, err := r.conn.Exec(ctx, "CREATE TEMP TABLE "+duck.Ident(table)+" ("+strings.Join(defs, ", ")+")"); err != nil {
		return err
	}
	rows, err := gather(ctx, source, shares)
	if err != nil {
		return err
	}
	_, err = r.conn.Load(ctx, table, rows)
	r.fetched += rows.bytes
	if closeErr := rows.Close(); err == nil {
		err = closeErr
	}
	return err
}

// lostNode tells whose rows are missing, if err is that.
func lostNode(nodeID string, err error) error {
	if fault.CodeOf(err) != fault.Unavailable {
		return fmt.Errorf("rows kept on node %s: %w", nodeID, err)
	}
	return fault.Newf(fault.Unavailable, "rows kept on node %s: %w", nodeID, err).With(LostNodeDetail, nodeID)
}
