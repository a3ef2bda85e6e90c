//go:build duckdb_arrow

package duck

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	bind "github.com/duckdb/duckdb-go-bindings"
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

// DB is one in-memory DuckDB instance.
type DB struct {
	db    bind.Database
	slots *semaphore.Weighted
	wait  time.Duration
	once  sync.Once
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
	var cfg bind.Config
	if bind.CreateConfig(&cfg) != bind.StateSuccess {
		return nil, fault.New(fault.Internal, "duckdb: no configuration")
	}
	defer bind.DestroyConfig(&cfg)
	set := map[string]string{
		"autoinstall_known_extensions": "false",
		"autoload_known_extensions":    "false",
		"temp_directory":               o.TempDir,
	}
	if o.MemoryLimit != "" {
		set["memory_limit"] = o.MemoryLimit
	}
	if o.Threads > 0 {
		set["threads"] = fmt.Sprint(o.Threads)
	}
	for k, v := range set {
		if bind.SetConfig(cfg, k, v) != bind.StateSuccess {
			return nil, fault.Newf(fault.InvalidArgument, "duckdb: bad value %q of %s", v, k)
		}
	}
	d := &DB{slots: semaphore.NewWeighted(int64(o.ConnectionsMax)), wait: o.ConnectionWait}
	var msg string
	if bind.OpenExt("", &d.db, cfg, &msg) != bind.StateSuccess {
		return nil, classify(msg)
	}
	if err := d.lockDown(o.AllowedDirs); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

func (d *DB) lockDown(dirs []string) error {
	c, err := d.Conn(context.Background())
	if err != nil {
		return err
	}
	defer c.Close()
	quoted := make([]string, len(dirs))
	for i, dir := range dirs {
		quoted[i] = Literal(dir)
	}
	for _, sql := range []string{
		"SET GLOBAL TimeZone='UTC'",
		"SET GLOBAL parquet_metadata_cache=true", // files never change
		"SET GLOBAL errors_as_json=true",         // with the place in the statement
		"SET GLOBAL allowed_directories=[" + strings.Join(quoted, ",") + "]",
		"SET GLOBAL enable_external_access=false",
		"SET GLOBAL lock_configuration=true",
	} {
		if _, err := c.Exec(context.Background(), sql); err != nil {
			return fmt.Errorf("duckdb: %s: %w", sql, err)
		}
	}
	return nil
}

// Conn opens a connection. It waits for a slot, but not for ever: two nodes
// may wait for each other's.
func (d *DB) Conn(ctx context.Context) (*Conn, error) {
	wait, cancel := context.WithTimeout(ctx, d.wait)
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
	c := &Conn{release: func() {}}
	if bind.Connect(d.db, &c.conn) != bind.StateSuccess {
		return nil, fault.New(fault.Internal, "duckdb: no connection")
	}
	return c, nil
}

// Close ends the instance. All connections must be closed before.
func (d *DB) Close() { d.once.Do(func() { bind.Close(&d.db) }) }

// Literal writes s as a SQL string.
func Literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// Ident writes s as a quoted SQL identifier.
func Ident(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }
