package flight_test

import (
	"context"
	"io"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	arrowflight "github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/flight/flightsql"
	flightpb "github.com/apache/arrow-go/v18/arrow/flight/gen/flight"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"skein/flight"
	"skein/internal/fault"
)

func TestQuery(t *testing.T) {
	c := newCoord()
	d := open(t, c, nil, flight.Options{})
	for sql, want := range map[string]int{"SELECT 1": 100, "SELECT 1;": 100, "SHOW TABLES": 100, "SELECT none": 0, "SELECT many": 100_000} {
		info, err := d.client.Execute(t.Context(), sql)
		if err != nil {
			t.Fatal(sql, err)
		}
		told, err := arrowflight.DeserializeSchema(info.Schema, memory.DefaultAllocator)
		if err != nil {
			t.Fatal(err)
		}
		if len(info.Endpoint) != 1 || len(info.Endpoint[0].Location) != 0 {
			t.Errorf("%s: endpoints %v", sql, info.Endpoint)
		}
		got, schema, err := d.read(t.Context(), info)
		if err != nil || got != want {
			t.Errorf("%s: %d rows, %v; want %d", sql, got, err, want)
		}
		if !schema.Equal(told) || !schema.Equal(c.statements[sql].schema) {
			t.Errorf("%s: info tells %v, the result has %v", sql, told, schema)
		}
	}
}

// read fetches all rows and checks that they count from 0.
func (d *door) read(ctx context.Context, info *arrowflight.FlightInfo) (n int, schema *arrow.Schema, err error) {
	r, err := d.client.DoGet(ctx, info.Endpoint[0].Ticket)
	if err != nil {
		return 0, nil, err
	}
	defer r.Release()
	for r.Next() {
		for _, v := range r.RecordBatch().Column(0).(*array.Int64).Int64Values() {
			if v != int64(n) {
				return n, r.Schema(), io.ErrUnexpectedEOF
			}
			n++
		}
	}
	return n, r.Schema(), r.Err()
}

func TestSchemaOfStatement(t *testing.T) {
	c := newCoord()
	d := open(t, c, nil, flight.Options{})
	for sql, fields := range map[string]int{"SELECT 1": 1, "SELECT ?": 1, "CREATE TABLE t (x INT)": 0} {
		res, err := d.client.GetExecuteSchema(t.Context(), sql)
		if err != nil {
			t.Fatal(err)
		}
		s, err := arrowflight.DeserializeSchema(res.Schema, memory.DefaultAllocator)
		if err != nil || s.NumFields() != fields {
			t.Errorf("%s: %v %v", sql, s, err)
		}
	}
	if len(c.executed) > 0 {
		t.Errorf("asking for a schema ran %v", c.executed)
	}
}

func TestStatementErrors(t *testing.T) {
	c := newCoord()
	d := open(t, c, nil, flight.Options{})
	ctx := t.Context()
	_, err := d.client.Execute(ctx, "SELEC 1")
	wantCode(t, err, fault.InvalidArgument, "syntax error")
	if details := fault.Details(fault.From(err)); details["line"] != "1" || details["column"] != "8" {
		t.Errorf("details %v", details)
	}
	_, err = d.client.Execute(ctx, "SELECT ?")
	wantCode(t, err, fault.InvalidArgument, "1 parameters")
	_, err = d.client.ExecuteUpdate(ctx, "INSERT INTO t VALUES (?)")
	wantCode(t, err, fault.InvalidArgument, "1 parameters")
	_, err = d.client.ExecuteUpdate(ctx, "SELECT 1")
	wantCode(t, err, fault.InvalidArgument, "run it as a query")
	_, err = d.client.ExecuteUpdate(ctx, "DROP TABLE missing")
	wantCode(t, err, fault.NotFound, "missing not found")
	_, err = d.client.Execute(ctx, "SELECT '"+strings.Repeat("x", flight.SQLBytesMax)+"'")
	wantCode(t, err, fault.InvalidArgument, "bulk ingest")
	_, err = d.client.Prepare(ctx, "SELECT '"+strings.Repeat("x", flight.SQLBytesMax)+"'")
	wantCode(t, err, fault.InvalidArgument, "bulk ingest")
	info, err := d.client.Execute(ctx, "SELECT broken")
	if err != nil {
		t.Fatal(err)
	}
	n, _, err := d.read(ctx, info)
	if n != 300 {
		t.Errorf("%d rows before the error", n)
	}
	wantCode(t, err, fault.ResourceExhausted, "out of memory")
}

func TestUpdate(t *testing.T) {
	c := newCoord()
	d := open(t, c, nil, flight.Options{})
	if n, err := d.client.ExecuteUpdate(t.Context(), "CREATE TABLE t (x INT)"); n != 0 || err != nil {
		t.Error(n, err)
	}
	// ADBC sends every statement as a query.
	info, err := d.client.Execute(t.Context(), "CREATE TABLE t (x INT)")
	if err != nil || len(info.Endpoint) != 0 {
		t.Errorf("%v %v", info, err)
	}
	if _, err := d.client.Execute(t.Context(), "DROP TABLE missing"); err == nil {
		t.Error("no error of an update sent as a query")
	}
	if len(c.executed) != 2 {
		t.Errorf("ran %v", c.executed)
	}
}

func TestClientVanishes(t *testing.T) {
	c := newCoord()
	d := open(t, c, nil, flight.Options{})
	info, err := d.client.Execute(t.Context(), "SELECT endless")
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		r, err := d.client.DoGet(ctx, info.Endpoint[0].Ticket)
		if err != nil {
			t.Fatal(err)
		}
		r.Next()
		cancel()
		r.Release()
	}
	c.open.Wait() // hangs if a result stays open
}

func TestServerStopsInMidStream(t *testing.T) {
	c := newCoord()
	d := open(t, c, nil, flight.Options{})
	info, err := d.client.Execute(t.Context(), "SELECT endless")
	if err != nil {
		t.Fatal(err)
	}
	r, err := d.client.DoGet(t.Context(), info.Endpoint[0].Ticket)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	r.Next()
	d.stop()
	for r.Next() {
	}
	if r.Err() == nil {
		t.Error("a broken result ends well")
	}
}

func TestMalformedRequests(t *testing.T) {
	d := open(t, newCoord(), nil, flight.Options{})
	ctx := t.Context()
	foreign, err := anypb.New(&flightpb.CommandGetCatalogs{})
	if err != nil {
		t.Fatal(err)
	}
	notATicket, err := proto.Marshal(foreign)
	if err != nil {
		t.Fatal(err)
	}
	forged, err := flightsql.CreateStatementQueryTicket([]byte("SELEC"))
	if err != nil {
		t.Fatal(err)
	}
	for _, garbage := range [][]byte{nil, {0xff}, []byte("\n\x01x"), []byte("skein-fragment/1\n"), forged} {
		wantCode(t, drainGet(ctx, d.raw, garbage), fault.InvalidArgument, "")
	}
	if err := drainGet(ctx, d.raw, notATicket); err != nil {
		t.Error("catalogs:", err)
	}
	_, err = d.raw.GetFlightInfo(ctx, &arrowflight.FlightDescriptor{Cmd: []byte{0xff}})
	wantCode(t, err, fault.InvalidArgument, "")
	_, err = d.raw.GetSchema(ctx, &arrowflight.FlightDescriptor{})
	wantCode(t, err, fault.InvalidArgument, "")
	for _, first := range []*arrowflight.FlightData{
		{}, {DataHeader: []byte("rubbish")},
		{FlightDescriptor: &arrowflight.FlightDescriptor{Cmd: []byte{0xff}}},
		{FlightDescriptor: &arrowflight.FlightDescriptor{Cmd: ingestCommand(t, "t")}, DataHeader: []byte("rubbish that is no schema")},
	} {
		wantCode(t, put(ctx, d.raw, first), fault.InvalidArgument, "")
	}
	stream, err := d.raw.DoAction(ctx, &arrowflight.Action{Type: "Nonsense"})
	if err == nil {
		_, err = stream.Recv()
	}
	wantCode(t, err, fault.InvalidArgument, "")
	if _, err := d.client.Execute(ctx, "SELECT 1"); err != nil {
		t.Error("the server is gone:", err)
	}
}

func drainGet(ctx context.Context, c arrowflight.Client, ticket []byte) error {
	stream, err := c.DoGet(ctx, &arrowflight.Ticket{Ticket: ticket})
	for err == nil {
		_, err = stream.Recv()
	}
	if err == io.EOF {
		return nil
	}
	return err
}

// put sends one message and returns the error of the call.
func put(ctx context.Context, c arrowflight.Client, d *arrowflight.FlightData) error {
	stream, err := c.DoPut(ctx)
	if err != nil {
		return err
	}
	if err := stream.Send(d); err != nil {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	for err == nil {
		_, err = stream.Recv()
	}
	if err == io.EOF {
		return nil
	}
	return err
}

// fragment streams answer nothing but remember their ticket.
type fragment struct{ seen string }

func (f *fragment) Match(ticket []byte) bool { return strings.HasPrefix(string(ticket), "frag:") }
func (f *fragment) DoGet(t *arrowflight.Ticket, _ arrowflight.FlightService_DoGetServer) error {
	f.seen = string(t.Ticket)
	return nil
}

func TestFragmentsPassThrough(t *testing.T) {
	f := &fragment{}
	d := open(t, newCoord(), f, flight.Options{})
	if err := drainGet(t.Context(), d.raw, []byte("frag:1")); err != nil || f.seen != "frag:1" {
		t.Error(f.seen, err)
	}
	info, err := d.client.Execute(t.Context(), "SELECT 1")
	if err != nil {
		t.Fatal(err)
	}
	if n, _, err := d.read(t.Context(), info); n != 100 || err != nil {
		t.Error(n, err)
	}
}

func TestListActions(t *testing.T) {
	d := open(t, newCoord(), nil, flight.Options{})
	stream, err := d.raw.ListActions(t.Context(), &arrowflight.Empty{}, grpc.WaitForReady(true))
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for {
		a, err := stream.Recv()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names[a.Type] = true
	}
	if !names["CreatePreparedStatement"] || !names["CancelFlightInfo"] || names["BeginSavepoint"] {
		t.Error(names)
	}
}
