//go:build duckdb_arrow

package duck

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"skein/internal/fault"
)

// Options of a database.
type Options struct {
	MemoryLimit    string   // as DuckDB writes it, such as "4GB"; 80 % of the machine if empty
	Threads        int      // one for each core if zero
	TempDir        string   // where it spills; no spilling if empty
	AllowedDirs    []string // directories that statements may read and write; none if empty
	ConnectionsMax int      // open at once; 256 if zero

	ConnectionWait time.Duration // for one of them to be free; 30s if zero
}

// DB is DuckDB in memory. An instance that an internal error of DuckDB made
// unusable is replaced: what was kept in it, and the statements that run in
// it, are lost, but not those that follow.
type DB struct {
	options Options
	slots   *semaphore.Weighted

	mu      sync.Mutex
	current *instance
	made    int // instances
	closed  bool
}

// Open starts an instance that can touch no file outside AllowedDirs, loads
// no extension and cannot be reconfigured by a statement.
func Open(o Options) (*DB, error) {
	if o.ConnectionsMax == 0 {
		o.ConnectionsMax = 256
	}
	if o.ConnectionWait == 0 {
		o.ConnectionWait = 30 * time.Second
	}
	d := &DB{options: o, slots: semaphore.NewWeighted(int64(o.ConnectionsMax))}
	c, err := d.connect()
	if err != nil {
		return nil, err
	}
	c.Close()
	return d, nil
}

// Conn opens a connection. It waits for a slot, but not for ever: two nodes
// may wait for each other's.
func (d *DB) Conn(ctx context.Context) (*Conn, error) {
	wait, cancel := context.WithTimeout(ctx, d.options.ConnectionWait)
	defer cancel()
	if err := d.slots.Acquire(wait, 1); err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("duckdb: waiting for a connection: %w", ctx.Err())
		}
		return nil, fault.New(fault.ResourceExhausted, "too many queries are running; retry when some are done").RetryIn(time.Second)
	}
	c, err := d.connect()
	if err != nil {
		d.slots.Release(1)
		return nil, err
	}
	c.release = func() { d.slots.Release(1) }
	return c, nil
}

// Spare opens a connection that does not count, for a short statement that
// frees what others may wait for.
func (d *DB) Spare() (*Conn, error) { return d.connect() }

func (d *DB) connect() (*Conn, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, fault.New(fault.Unavailable, "the server is stopping")
	}
	if d.current == nil || d.current.isLost() {
		next, err := openInstance(d.options, d.made)
		if err != nil {
			return nil, err
		}
		if d.current != nil {
			d.current.drop()
		}
		d.current = next
		d.made++
	}
	return d.current.connect()
}

// Connections is how many are open, to the instance that is in use.
func (d *DB) Connections() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.current == nil || d.closed {
		return 0
	}
	return int(d.current.users.Load()) - 1
}

// Close ends the instance once all connections are closed.
func (d *DB) Close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.closed {
		d.closed = true
		d.current.drop()
	}
}

// Literal writes s as a SQL string.
func Literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// Ident writes s as a quoted SQL identifier.
func Ident(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }
