//go:build duckdb_arrow

package duck

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	bind "github.com/duckdb/duckdb-go-bindings"

	"skein/internal/fault"
)

// instance is a DuckDB that lives as long as somebody uses it.
type instance struct {
	db     bind.Database
	users  atomic.Int64 // connections, and the DB whose current one it is
	lost   chan struct{}
	losing sync.Once
	memory recycler // of the batches that streams make
	sinks  sinks
	views  atomic.Int64 // that ExecOver has made
}

// openInstance starts one. It spills to a directory of its own.
func openInstance(o Options, number int) (*instance, error) {
	var cfg bind.Config
	if bind.CreateConfig(&cfg) != bind.StateSuccess {
		return nil, fault.New(fault.Internal, "duckdb: no configuration")
	}
	defer bind.DestroyConfig(&cfg)
	set := map[string]string{
		"autoinstall_known_extensions": "false",
		"autoload_known_extensions":    "false",
		"temp_directory":               "",
	}
	if o.TempDir != "" {
		set["temp_directory"] = filepath.Join(o.TempDir, "duckdb-"+strconv.Itoa(number))
	}
	if o.MemoryLimit != "" {
		set["memory_limit"] = o.MemoryLimit
	}
	if o.Threads > 0 {
		set["threads"] = strconv.Itoa(o.Threads)
	}
	for k, v := range set {
		if bind.SetConfig(cfg, k, v) != bind.StateSuccess {
			return nil, fault.Newf(fault.InvalidArgument, "duckdb: bad value %q of %s", v, k)
		}
	}
	i := &instance{lost: make(chan struct{})}
	i.users.Store(1)
	var msg string
	if bind.OpenExt("", &i.db, cfg, &msg) != bind.StateSuccess {
		return nil, classify(msg)
	}
	if err := i.lockDown(o.AllowedDirs); err != nil {
		i.drop()
		return nil, err
	}
	return i, nil
}

func (i *instance) lockDown(dirs []string) error {
	c, err := i.connect()
	if err != nil {
		return err
	}
	defer c.Close()
	quoted := make([]string, len(dirs))
	for n, dir := range dirs {
		quoted[n] = Literal(dir)
	}
	for _, sql := range []string{
		"SET GLOBAL TimeZone='UTC'",
		"SET GLOBAL parquet_metadata_cache=true", // files never change:
		"SET GLOBAL validate_external_file_cache='NO_VALIDATION'",
		"SET GLOBAL errors_as_json=true", // with the place in the statement
		"SET GLOBAL allowed_directories=[" + strings.Join(quoted, ",") + "]",
		"SET GLOBAL enable_external_access=false",
		"SET GLOBAL lock_configuration=true",
	} {
		if _, err := c.Exec(context.Background(), sql); err != nil {
			return fmt.Errorf("duckdb: %s: %w", sql, err)
		}
	}
	return i.sinks.register(c.conn)
}

func (i *instance) connect() (*Conn, error) {
	c := &Conn{instance: i, release: func() {}}
	if bind.Connect(i.db, &c.conn) != bind.StateSuccess {
		return nil, fault.New(fault.Internal, "duckdb: no connection")
	}
	i.users.Add(1)
	return c, nil
}

// drop is called by each user at its end.
func (i *instance) drop() {
	if i.users.Add(-1) == 0 {
		bind.Close(&i.db)
		i.sinks.free()
	}
}

// answers tells whether DuckDB still runs statements. Not every internal error
// ends it, and error() lets statements make messages that look like one.
func (i *instance) answers() bool {
	var conn bind.Connection
	if bind.Connect(i.db, &conn) != bind.StateSuccess {
		return false
	}
	defer bind.Disconnect(&conn)
	var res bind.Result
	defer bind.DestroyResult(&res)
	return bind.Query(conn, "SELECT 1", &res) == bind.StateSuccess
}

// lose notes that DuckDB refuses all that comes.
func (i *instance) lose() { i.losing.Do(func() { close(i.lost) }) }

func (i *instance) isLost() bool {
	select {
	case <-i.lost:
		return true
	default:
		return false
	}
}
