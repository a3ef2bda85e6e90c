package client

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/flight/flightsql"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"skein/internal/fault"
)

var numbers = arrow.NewSchema([]arrow.Field{{Name: "n", Type: arrow.PrimitiveTypes.Int64, Nullable: true}}, nil)

// fake is a Flight SQL server whose statements are words: "update", "bad",
// "forever", "broken", and anything else, which gives two endpoints of rows.
type fake struct {
	flightsql.BaseServer

	mu        sync.Mutex
	auth      []string
	open      int // prepared statements that were not closed
	stopped   chan struct{}
	began     chan struct{} // by an ingest's first rows
	table     string
	options   map[string]string
	ifExists  flightsql.TableDefinitionOptionsTableExistsOption
	ifMissing flightsql.TableDefinitionOptionsTableNotExistOption
	batches   []int64
	ingestErr error // how the stream of an ingest ended
}

// serve starts a fake and returns a client of it.
func serve(t *testing.T, o Options) (*fake, *Client) {
	t.Helper()
	f := &fake{stopped: make(chan struct{}, 1), began: make(chan struct{}, 1)}
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(grpc.MaxRecvMsgSize(messageBytesMax), grpc.StreamInterceptor(f.note))
	flight.RegisterFlightServiceServer(s, flightsql.NewFlightServer(f))
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(l)
	}()
	o.Addr = l.Addr().String()
	c, err := Dial(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		s.Stop()
		<-done
	})
	return f, c
}

func (f *fake) note(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	md, _ := metadata.FromIncomingContext(ss.Context())
	f.mu.Lock()
	f.auth = md.Get("authorization")
	f.mu.Unlock()
	return fault.Status(next(srv, ss))
}

func (f *fake) CreatePreparedStatement(_ context.Context, r flightsql.ActionCreatePreparedStatementRequest) (res flightsql.ActionCreatePreparedStatementResult, err error) {
	if r.GetQuery() == "bad" {
		return res, fault.New(fault.InvalidArgument, "no such thing").With("line", "1").With("column", "2")
	}
	f.mu.Lock()
	f.open++
	f.mu.Unlock()
	update := r.GetQuery() == "update"
	res.Handle, res.IsUpdate = []byte(r.GetQuery()), &update
	if !update {
		res.DatasetSchema = numbers
	}
	return res, nil
}

func (f *fake) ClosePreparedStatement(context.Context, flightsql.ActionClosePreparedStatementRequest) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open--
	return nil
}

func (f *fake) DoPutPreparedStatementUpdate(context.Context, flightsql.PreparedStatementUpdate, flight.MessageReader) (int64, error) {
	return 7, nil
}

func (f *fake) GetFlightInfoPreparedStatement(_ context.Context, _ flightsql.PreparedStatementQuery, d *flight.FlightDescriptor) (*flight.FlightInfo, error) {
	e := &flight.FlightEndpoint{Ticket: &flight.Ticket{Ticket: d.Cmd}}
	return &flight.FlightInfo{FlightDescriptor: d, Endpoint: []*flight.FlightEndpoint{e, e}, TotalRecords: -1}, nil
}

func (f *fake) DoGetPreparedStatement(ctx context.Context, q flightsql.PreparedStatementQuery) (*arrow.Schema, <-chan flight.StreamChunk, error) {
	out := make(chan flight.StreamChunk)
	go func() {
		defer close(out)
		switch string(q.GetPreparedStatementHandle()) {
		case "forever":
			for {
				select {
				case out <- flight.StreamChunk{Data: batchOf(1)}:
				case <-ctx.Done():
					f.stopped <- struct{}{}
					return
				}
			}
		case "broken":
			out <- flight.StreamChunk{Data: batchOf(1)}
			out <- flight.StreamChunk{Err: fault.Status(fault.New(fault.Unavailable, "a worker is gone"))}
		default:
			out <- flight.StreamChunk{Data: batchOf(1, 2)}
			out <- flight.StreamChunk{Data: batchOf(3)}
		}
	}()
	return numbers, out, nil
}

func (f *fake) DoPutCommandStatementIngest(_ context.Context, in flightsql.StatementIngest, rows flight.MessageReader) (int64, error) {
	if in.GetTable() == "refused" {
		return 0, fault.New(fault.NotFound, "table refused does not exist")
	}
	var n int64
	var batches []int64
	for rows.Next() {
		select {
		case f.began <- struct{}{}:
		default:
		}
		batches = append(batches, rows.RecordBatch().NumRows())
		n += rows.RecordBatch().NumRows()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	d := in.GetTableDefinitionOptions()
	f.table, f.options, f.ifExists, f.ifMissing = in.GetTable(), in.GetOptions(), d.IfExists, d.IfNotExist
	f.batches, f.ingestErr = batches, rows.Err()
	f.stopped <- struct{}{}
	return n, rows.Err()
}

func batchOf(values ...int64) arrow.RecordBatch {
	b := array.NewInt64Builder(memory.DefaultAllocator)
	defer b.Release()
	b.AppendValues(values, nil)
	col := b.NewArray()
	defer col.Release()
	return array.NewRecordBatch(numbers, []arrow.Array{col}, int64(len(values)))
}

// wide is a batch of one string column, rows of the given length.
func wide(rows, length int) arrow.RecordBatch {
	b := array.NewStringBuilder(memory.DefaultAllocator)
	defer b.Release()
	for range rows {
		b.Append(strings.Repeat("x", length))
	}
	col := b.NewArray()
	defer col.Release()
	schema := arrow.NewSchema([]arrow.Field{{Name: "s", Type: arrow.BinaryTypes.String}}, nil)
	return array.NewRecordBatch(schema, []arrow.Array{col}, int64(rows))
}
