package flight_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"path"
	"strings"
	"sync"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	arrowflight "github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/flight/flightsql"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"skein/coordinator"
	"skein/flight"
	"skein/internal/batch"
	"skein/internal/fault"
	"skein/meta"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// answer is what the fake coordinator knows of one statement.
type answer struct {
	schema  *arrow.Schema // nil for an update
	params  *arrow.Schema
	batches int   // of 100 numbers each; endless if negative
	end     error // io.EOF if nil
	changed int64
	fail    error // at once
}

// coord is a coordinator of a few known statements. It is wrong if a reader of
// it stays open.
type coord struct {
	mem        *memory.CheckedAllocator
	statements map[string]answer
	tables     []meta.Table
	schemas    map[string]*arrow.Schema

	mu       sync.Mutex
	open     sync.WaitGroup
	executed []string // statement and parameters, as text
	ingests  []coordinator.Ingest
	ingested int64
}

func newCoord() *coord {
	n := arrow.NewSchema([]arrow.Field{{Name: "n", Type: arrow.PrimitiveTypes.Int64, Nullable: true}}, nil)
	p := arrow.NewSchema([]arrow.Field{{Name: "1", Type: arrow.PrimitiveTypes.Int64}}, nil)
	return &coord{
		mem: memory.NewCheckedAllocator(memory.DefaultAllocator),
		statements: map[string]answer{
			"SELECT 1":         {schema: n, batches: 1},
			"SELECT 1;":        {schema: n, batches: 1},
			"SHOW TABLES":      {schema: n, batches: 1},
			"SELECT none":      {schema: n, batches: 0},
			"SELECT many":      {schema: n, batches: 1000},
			"SELECT endless":   {schema: n, batches: -1},
			"SELECT endless ?": {schema: n, params: p, batches: -1},
			"SELECT broken":    {schema: n, batches: 3, end: fault.New(fault.ResourceExhausted, "out of memory")},
			"SELECT ?":         {schema: n, params: p, batches: 1},
			"SELECT untyped ?": {schema: n, params: arrow.NewSchema([]arrow.Field{{Name: "1", Type: arrow.Null}}, nil), batches: 1},
			"SELECT at ?": {schema: n, params: arrow.NewSchema([]arrow.Field{
				{Name: "1", Type: &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}}}, nil), batches: 1},
			"CREATE TABLE t (x INT)":   {},
			"INSERT INTO t VALUES (?)": {params: p, changed: 2},
			"INSERT unknown (?)":       {params: p, changed: -1},
			"SET timezone = 'UTC'":     {},
			"SET timezone = 'CET'":     {fail: fault.New(fault.Unimplemented, "only UTC")},
			"SET digits = '3'":         {},
			"RESET timezone":           {},
			"DROP TABLE missing":       {fail: fault.New(fault.NotFound, "table missing not found")},
		},
		schemas: map[string]*arrow.Schema{},
	}
}

func (c *coord) Prepare(ctx context.Context, sql string) (*coordinator.Statement, error) {
	a, ok := c.statements[sql]
	if !ok {
		return nil, fault.New(fault.InvalidArgument, "syntax error").With("line", "1").With("column", "8")
	}
	return &coordinator.Statement{Schema: a.schema, Params: a.params}, ctx.Err()
}

func (c *coord) Query(_ context.Context, sql string, params arrow.RecordBatch) (batch.Reader, error) {
	a, ok := c.statements[sql]
	if !ok || a.schema == nil {
		return nil, fault.New(fault.InvalidArgument, "not a query")
	}
	if a.fail != nil {
		return nil, a.fail
	}
	c.note(sql, params)
	if a.end == nil {
		a.end = io.EOF
	}
	r := &counting{mem: c.mem, answer: a, closed: c.open.Done}
	if params != nil {
		r.answer.schema = arrow.NewSchema([]arrow.Field{{Name: "n", Type: params.Column(0).DataType()}}, nil)
		r.params = params
	}
	c.open.Add(1)
	return r, nil
}

// Partitions divides one statement into two.
func (c *coord) Partitions(_ context.Context, sql string) ([]coordinator.Partition, error) {
	if sql != "SELECT many" {
		return nil, nil
	}
	return []coordinator.Partition{{Address: "a:1", Fragment: []byte("first")}, {Address: "b:1", Fragment: []byte("second")}}, nil
}

func (c *coord) ReadPartition(ctx context.Context, fragment []byte) (batch.Reader, error) {
	c.note("part "+string(fragment), nil)
	return c.Query(ctx, "SELECT 1", nil)
}

func (c *coord) Execute(_ context.Context, sql string, params arrow.RecordBatch) (int64, error) {
	a, known := c.statements[sql]
	if a.fail != nil {
		return 0, a.fail
	}
	if !known {
		return 0, fault.New(fault.InvalidArgument, "unknown statement")
	}
	c.note(sql, params)
	if params != nil && a.changed > 0 {
		return a.changed * params.NumRows(), nil
	}
	return a.changed, nil
}

func (c *coord) note(sql string, params arrow.RecordBatch) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if params != nil {
		sql += fmt.Sprint(" ", params.NumRows(), params.Column(0))
	}
	c.executed = append(c.executed, sql)
}

func (c *coord) Ingest(ctx context.Context, in coordinator.Ingest, rows batch.Reader) (n int64, err error) {
	defer rows.Close()
	switch in.Table {
	case "exists":
		return 0, fault.New(fault.AlreadyExists, "table exists already exists")
	case "missing":
		return 0, fault.New(fault.NotFound, "table missing not found")
	}
	if rows.Schema() == nil {
		return 0, fault.New(fault.InvalidArgument, "no columns")
	}
	for {
		b, err := rows.Next(ctx)
		if err == io.EOF {
			break
		}
		if err != nil {
			return 0, err
		}
		n += b.NumRows()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ingests, c.ingested = append(c.ingests, in), c.ingested+n
	return n, nil
}

func (c *coord) ListTables(_ context.Context, pattern string, page, limit int) (p coordinator.TablePage, err error) {
	limit = min(limit, 3) // so that there are pages
	var found []meta.Table
	for _, t := range c.tables {
		if ok, _ := path.Match(pattern, t.Name); ok {
			found = append(found, t)
		}
	}
	p = coordinator.TablePage{Total: len(found), Page: page, Limit: limit}
	from := min((page-1)*limit, len(found))
	p.Tables = found[from:min(from+limit, len(found))]
	return p, nil
}

func (c *coord) ArrowSchema(_ context.Context, name string) (*arrow.Schema, error) {
	if s, ok := c.schemas[name]; ok {
		return s, nil
	}
	return nil, fmt.Errorf("table %s: %w", name, meta.ErrTableNotFound)
}

// counting is the numbers from 0, 100 to a batch; or the one parameter.
type counting struct {
	mem     memory.Allocator
	answer  answer
	params  arrow.RecordBatch
	at      int
	current arrow.RecordBatch
	once    sync.Once
	closed  func()
}

func (r *counting) Schema() *arrow.Schema { return r.answer.schema }

func (r *counting) Next(ctx context.Context) (arrow.RecordBatch, error) {
	r.release()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if r.at == r.answer.batches {
		return nil, r.answer.end
	}
	r.at++
	if r.params != nil {
		r.current = array.NewRecordBatch(r.answer.schema, r.params.Columns(), 1)
		return r.current, nil
	}
	b := array.NewRecordBuilder(r.mem, r.answer.schema)
	defer b.Release()
	for i := range 100 {
		b.Field(0).(*array.Int64Builder).Append(int64((r.at-1)*100 + i))
	}
	r.current = b.NewRecordBatch()
	return r.current, nil
}

func (r *counting) release() {
	if r.current != nil {
		r.current.Release()
		r.current = nil
	}
}

func (r *counting) Close() error {
	r.once.Do(func() { r.release(); r.closed() })
	return nil
}

// door is a running server and a client of it.
type door struct {
	address string
	client  *flightsql.Client
	raw     arrowflight.Client
	stop    func()
}

// open serves c and fails the test if a result of it stays open or unreleased.
func open(t *testing.T, c *coord, fragments flight.Fragments, o flight.Options) *door {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := flight.NewServer(c, fragments, o)
	g := grpc.NewServer(flight.ServerOptions(flight.GRPCOptions{})...)
	arrowflight.RegisterFlightServiceServer(g, s)
	var served sync.WaitGroup
	served.Go(func() { g.Serve(l) })
	d := &door{address: l.Addr().String()}
	d.raw, err = arrowflight.NewClientWithMiddleware(d.address, nil, nil, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	d.client = &flightsql.Client{Client: d.raw, Alloc: memory.DefaultAllocator}
	d.stop = sync.OnceFunc(func() {
		d.raw.Close()
		g.Stop()
		served.Wait()
		s.Close()
		c.open.Wait()
	})
	t.Cleanup(func() {
		d.stop()
		c.mem.AssertSize(t, 0)
	})
	return d
}

// wantCode checks the class of an error that came over the wire.
func wantCode(t *testing.T, err error, code fault.Code, text string) {
	t.Helper()
	err = fault.From(err)
	if err == nil || fault.CodeOf(err) != code || !strings.Contains(err.Error(), text) {
		t.Errorf("got %v (%s), want %s with %q", err, fault.CodeOf(err), code, text)
	}
}
