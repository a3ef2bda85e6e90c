//go:build duckdb_arrow

package coordinator

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"skein/internal/batch"
	"skein/internal/fault"
	"skein/meta"
)

// StatementIDMax is how many bytes a statement's id may have.
const StatementIDMax = 256

// onceMark begins the units of bulk loads with a statement id. Behind it are
// the day of the load, YYYYMMDD, and what the id hashes to.
const onceMark = "once-"

// onceUnit is the unit of the load with the id, if it was stored on the day. A
// table has it as committed for the rest of that day and the day after.
func onceUnit(id string, day time.Time) string {
	sum := sha256.Sum256([]byte(id))
	return onceMark + day.UTC().Format("20060102") + "-" + hex.EncodeToString(sum[:16])
}

// underway are the loads with an id that this node is at.
type underway struct {
	mu  sync.Mutex
	ids map[string]bool
}

// begin fails if the load is going on already.
func (u *underway) begin(table, id string) (end func(), err error) {
	key := table + "\x00" + id
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.ids[key] {
		return nil, fault.Newf(fault.Aborted, "table %s: the load with the statement id %q is still going on; ask again when it is over", table, id)
	}
	if u.ids == nil {
		u.ids = map[string]bool{}
	}
	u.ids[key] = true
	return func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		delete(u.ids, key)
	}, nil
}

// ingestOnce stores the rows unless a load with the same statement id has
// stored some into the table today or yesterday (UTC): then it returns how many
// those were, and reads none.
func (c *Coordinator) ingestOnce(ctx context.Context, in Ingest, rows batch.Reader) (int64, error) {
	if len(in.StatementID) > StatementIDMax {
		return 0, fault.Newf(fault.InvalidArgument, "the statement id has %d bytes, at most %d are possible", len(in.StatementID), StatementIDMax)
	}
	end, err := c.underway.begin(in.Table, in.StatementID)
	if err != nil {
		return 0, err
	}
	defer end()
	now := time.Now()
	today, before := onceUnit(in.StatementID, now), onceUnit(in.StatementID, now.AddDate(0, 0, -1))
	units, err := c.Meta.Units(ctx, in.Table)
	if err != nil && !errors.Is(err, meta.ErrTableNotFound) {
		return 0, err
	}
	for _, unit := range []string{today, before} {
		if units.Committed[unit] {
			return c.storedBy(ctx, in.Table, unit)
		}
	}
	n, err := c.ingest(ctx, in, today, rows)
	if errors.Is(err, meta.ErrUnitTaken) || errors.Is(err, meta.ErrUnitDone) { // through another node
		return c.storedBy(ctx, in.Table, today)
	}
	if err == nil {
		c.forgetOnce(ctx, in.Table, units, now)
	}
	return n, err
}

// storedBy is how many rows of a load the table has.
func (c *Coordinator) storedBy(ctx context.Context, table, unit string) (n int64, err error) {
	listing, err := c.Meta.Listing(ctx, table)
	if err != nil {
		return 0, err
	}
	for _, f := range listing.Files {
		if f.Unit == unit {
			n += f.Rows
		}
	}
	return n, nil
}

// forgetOnce forgets the loads of the days before yesterday.
func (c *Coordinator) forgetOnce(ctx context.Context, table string, units meta.Units, now time.Time) {
	kept := onceMark + now.UTC().AddDate(0, 0, -1).Format("20060102")
	var old []string
	for unit := range units.Committed {
		if strings.HasPrefix(unit, onceMark) && unit < kept {
			old = append(old, unit)
		}
	}
	if len(old) == 0 {
		return
	}
	if err := c.Meta.ForgetUnits(ctx, table, old); err != nil {
		c.Log.Warn("forget loads with a statement id", "table", table, "error", fmt.Sprint(err))
	}
}
