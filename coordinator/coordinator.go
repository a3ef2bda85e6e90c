//go:build duckdb_arrow

package coordinator

import (
	"context"
	"log/slog"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"skein/internal/batch"
	"skein/internal/duck"
	"skein/meta"
	"skein/meta/member"
	"skein/planner"
	nodev1 "skein/proto/node/v1"
)

// Worker is what the coordinator asks of a worker, on this node or another.
// Errors are classified; Unavailable means that another worker may be asked.
type Worker interface {
	// Ready returns nil when a call would reach the worker. Nothing is sent
	// to a worker that is not ready.
	Ready(ctx context.Context) error
	// Append stores records durably, all or none.
	Append(ctx context.Context, r *nodev1.AppendRequest) error
	// Hot tells the unflushed rows of a table.
	Hot(ctx context.Context, r *nodev1.HotRequest) (*nodev1.HotResponse, error)
	// Run executes a fragment. Repeating it is harmless.
	Run(ctx context.Context, f *nodev1.Fragment) (batch.Reader, error)
	// Keep executes a fragment and keeps its rows while the query is held. An
	// Unavailable error's detail "lost_node" names the node whose kept rows
	// the fragment could not read.
	Keep(ctx context.Context, f *nodev1.Fragment) (*nodev1.KeepResponse, error)
	// ReadKept streams kept rows.
	ReadKept(ctx context.Context, r *nodev1.KeptRead) (batch.Reader, error)
	// Hold calls ready once the query's rows may be kept. It returns when ctx
	// ends, with its error; any other error means that they are lost.
	Hold(ctx context.Context, queryID string, ready func()) error
	Flush(ctx context.Context, table string) error
	Discard(ctx context.Context, tableUID string) error
	Stats(ctx context.Context, window time.Duration) (*nodev1.StatsResponse, error)
}

// Loader writes bulk loads to objects without committing them.
type Loader interface {
	// ArrowColumns tells the columns that a stream of the schema becomes.
	ArrowColumns(ctx context.Context, schema *arrow.Schema) ([]meta.Column, error)
	// Ingest uploads the rows as files of the table. It commits nothing; on
	// error it leaves nothing that is in use.
	Ingest(ctx context.Context, t meta.Table, rows batch.Reader) ([]meta.File, int64, error)
}

// Objects is what the coordinator asks of the object store.
type Objects interface {
	Delete(ctx context.Context, key string) error
	Ping(ctx context.Context) error
}

// Permission is what a call needs.
type Permission int

// The permissions; each includes those before it.
const (
	ToRead   Permission = iota // query and look at tables
	ToWrite                    // store rows
	ToDefine                   // create and drop tables
)

func (c *Coordinator) may(ctx context.Context, p Permission) error {
	if c.Authorize == nil {
		return nil
	}
	return c.Authorize(ctx, p)
}

// Deps are the parts that a coordinator works with. Local and Loader are nil
// on a node that is no worker.
type Deps struct {
	Meta    meta.Store
	Objects Objects
	DB      *duck.DB
	Local   Worker
	Loader  Loader
	Remote  func(n meta.Node) Worker
	// Authorize says whether the caller in ctx may do such things; nil allows
	// everybody everything.
	Authorize func(ctx context.Context, p Permission) error
	Log       *slog.Logger
}

// Options of a coordinator.
type Options struct {
	Node              meta.Node     // this node, as it registers
	Embedded          bool          // the only node of its catalog
	HeartbeatInterval time.Duration // 30s if zero
	HeartbeatExpiry   time.Duration // 60s if zero
	ViewAge           time.Duration // how old the known nodes and ring may be; 1s if zero
	SQLBytesMax       int           // longest statement; 1 MiB if zero
	RecordBytesMax    int           // largest payload; 16 MiB if zero

	QueryBytesMax  int64         // that one query may keep between its stages, over all workers; 8 GiB if zero
	QueriesMax     int           // that run at once; 32 if zero
	QueueMax       int           // that wait for that; 256 if zero
	QueueWait      time.Duration // how long; 30s if zero
	QueryTimeout   time.Duration // of one query, with all that its client takes; 1h if zero
	CollapseRows   int64         // a stage with no more input rows runs as one fragment; 50,000 if zero, never if negative
	DivideBytesMin int64         // a query that reads less runs on one worker; 1 MiB if zero, all are divided if negative
}

// Coordinator runs statements. Its methods may be called from many goroutines.
type Coordinator struct {
	Deps
	opts      Options
	engine    engine
	functions planner.Functions
	splits    planner.Splits
	admission *admission
	member    *member.Member
	members   members
	listings  listings
	plans     *plans
	underway  underway
	counters  counters
}

// New returns a coordinator. Start makes its node a member of the cluster.
func New(ctx context.Context, d Deps, o Options) (*Coordinator, error) {
	o.HeartbeatInterval = or(o.HeartbeatInterval, 30*time.Second)
	o.HeartbeatExpiry = or(o.HeartbeatExpiry, 60*time.Second)
	o.ViewAge = or(o.ViewAge, time.Second)
	o.SQLBytesMax = or(o.SQLBytesMax, 1<<20)
	o.RecordBytesMax = or(o.RecordBytesMax, 16<<20)
	o.QueryBytesMax = or(o.QueryBytesMax, 8<<30)
	o.QueriesMax = or(o.QueriesMax, 32)
	o.QueueMax = or(o.QueueMax, 256)
	o.QueueWait = or(o.QueueWait, 30*time.Second)
	o.QueryTimeout = or(o.QueryTimeout, time.Hour)
	o.CollapseRows = or(o.CollapseRows, 50_000)
	o.DivideBytesMin = or(o.DivideBytesMin, 1<<20)
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	c := &Coordinator{Deps: d, opts: o, engine: engine{db: d.DB, memo: newMemo()}, plans: newPlans(), admission: newAdmission(o)}
	c.member = c.membership()
	var err error
	if c.functions, err = loadFunctions(ctx, d.DB); err != nil {
		return nil, err
	}
	if c.splits, err = planner.ReadSplits(ctx, c.engine); err != nil {
		return nil, err
	}
	return c, nil
}

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}
