package flight_test

import (
	"context"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"
	arrowflight "github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/flight/flightsql"
	flightpb "github.com/apache/arrow-go/v18/arrow/flight/gen/flight"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"skein/flight"
	"skein/internal/fault"
)

// within ends a test's wait for what should come at once.
func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func (d *door) cancel(ctx context.Context, info *arrowflight.FlightInfo) (arrowflight.CancelStatus, error) {
	res, err := d.client.CancelFlightInfo(ctx, &arrowflight.CancelFlightInfoRequest{Info: info})
	return res.GetStatus(), err
}

// drained reads a stream to its end and tells why it ended.
func drained(r array.RecordReader) error {
	defer r.Release()
	for r.Next() {
	}
	return r.Err()
}

func TestCancelEndsTheQuery(t *testing.T) {
	d := open(t, newCoord(), nil, flight.Options{})
	ctx := within(t)
	info, err := d.client.Execute(ctx, "SELECT endless")
	if err != nil {
		t.Fatal(err)
	}
	other, err := d.client.Execute(ctx, "SELECT endless")
	if err != nil {
		t.Fatal(err)
	}
	reading, stop := context.WithCancel(ctx)
	defer stop()
	untouched, err := d.client.DoGet(reading, other.Endpoint[0].Ticket)
	if err != nil {
		t.Fatal(err)
	}
	defer untouched.Release()
	r, err := d.client.DoGet(ctx, info.Endpoint[0].Ticket)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := d.cancel(ctx, info); s != arrowflight.CancelStatusCancelled || err != nil {
		t.Error(s, err)
	}
	wantCode(t, drained(r), fault.Canceled, "cancelled")
	for range 100 { // the other query of the same text goes on
		if !untouched.Next() {
			t.Fatal(untouched.Err())
		}
	}
	_, err = d.client.DoGet(ctx, info.Endpoint[0].Ticket)
	wantCode(t, err, fault.NotFound, "run the statement again")
}

func TestCancelBeforeAndAfter(t *testing.T) {
	d := open(t, newCoord(), nil, flight.Options{})
	ctx := within(t)
	info, err := d.client.Execute(ctx, "SELECT 1")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if s, err := d.cancel(ctx, info); s != arrowflight.CancelStatusCancelled || err != nil {
			t.Error(s, err)
		}
	}
	if _, err := d.client.DoGet(ctx, info.Endpoint[0].Ticket); fault.CodeOf(fault.From(err)) != fault.NotFound {
		t.Errorf("a cancelled ticket: %v", err)
	}
	p := d.prepare(t, "SELECT endless ?")
	p.SetParameters(numbers(1))
	info, err = p.Execute(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := d.cancel(ctx, info); s != arrowflight.CancelStatusNotCancellable || err != nil {
		t.Error("not begun:", s, err)
	}
	r, err := d.client.DoGet(ctx, info.Endpoint[0].Ticket)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := d.cancel(ctx, info); s != arrowflight.CancelStatusCancelled || err != nil {
		t.Error("prepared:", s, err)
	}
	wantCode(t, drained(r), fault.Canceled, "cancelled")
	if r, err = d.client.DoGet(ctx, info.Endpoint[0].Ticket); err != nil || !r.Next() {
		t.Error("run again:", err)
	}
	if s, err := d.cancel(ctx, info); s != arrowflight.CancelStatusCancelled || err != nil {
		t.Error(s, err)
	}
	wantCode(t, drained(r), fault.Canceled, "cancelled")
}

// The older action, which JDBC and others send.
func TestCancelQueryAction(t *testing.T) {
	d := open(t, newCoord(), nil, flight.Options{})
	ctx := within(t)
	info, err := d.client.Execute(ctx, "SELECT endless")
	if err != nil {
		t.Fatal(err)
	}
	r, err := d.client.DoGet(ctx, info.Endpoint[0].Ticket)
	if err != nil {
		t.Fatal(err)
	}
	res, err := d.client.CancelQuery(ctx, info) //nolint:staticcheck // clients send it
	if res != flightsql.CancelResultCancelled || err != nil {
		t.Error(res, err)
	}
	wantCode(t, drained(r), fault.Canceled, "cancelled")
}

func forged(t *testing.T, m proto.Message) *arrowflight.Ticket {
	t.Helper()
	a, err := anypb.New(m)
	if err != nil {
		t.Fatal(err)
	}
	b, err := proto.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	return &arrowflight.Ticket{Ticket: b}
}

func TestForgedTickets(t *testing.T) {
	d := open(t, newCoord(), nil, flight.Options{})
	ctx := within(t)
	for name, k := range map[string]struct {
		ticket *arrowflight.Ticket
		code   fault.Code
	}{
		"no message":        {&arrowflight.Ticket{Ticket: []byte("\xff\xfe")}, fault.InvalidArgument},
		"empty":             {&arrowflight.Ticket{}, fault.InvalidArgument},
		"no handle":         {forged(t, &flightpb.TicketStatementQuery{}), fault.InvalidArgument},
		"text for a handle": {forged(t, &flightpb.TicketStatementQuery{StatementHandle: []byte("SELECT 1 -- which is long enough to be one")}), fault.InvalidArgument},
		"a name alone":      {forged(t, &flightpb.TicketStatementQuery{StatementHandle: []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZ")}), fault.InvalidArgument},
		"unknown statement": {forged(t, &flightpb.TicketStatementQuery{StatementHandle: []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZSELECT 2")}), fault.InvalidArgument},
		"unknown prepared":  {forged(t, &flightpb.CommandPreparedStatementQuery{PreparedStatementHandle: []byte("ABC")}), fault.NotFound},
		"another message":   {forged(t, &flightpb.ActionBeginTransactionRequest{}), fault.InvalidArgument},
	} {
		r, err := d.client.DoGet(ctx, k.ticket)
		if err == nil {
			err = drained(r)
		}
		t.Log(name)
		wantCode(t, err, k.code, "")
		if name == "unknown statement" {
			continue // it could be run
		}
		_, err = d.client.RenewFlightEndpoint(ctx, &arrowflight.RenewFlightEndpointRequest{Endpoint: &arrowflight.FlightEndpoint{Ticket: k.ticket}})
		wantCode(t, err, k.code, "")
		_, err = d.cancel(ctx, &arrowflight.FlightInfo{Endpoint: []*arrowflight.FlightEndpoint{{Ticket: k.ticket}}})
		wantCode(t, err, k.code, "")
	}
	_, err := d.cancel(ctx, &arrowflight.FlightInfo{})
	wantCode(t, err, fault.InvalidArgument, "no endpoint")
	_, err = d.client.RenewFlightEndpoint(ctx, &arrowflight.RenewFlightEndpointRequest{})
	wantCode(t, err, fault.InvalidArgument, "")
}

func TestPollAndRenew(t *testing.T) {
	d := open(t, newCoord(), nil, flight.Options{})
	ctx := within(t)
	poll, err := d.client.ExecutePoll(ctx, "SELECT 1", nil)
	if err != nil || poll.FlightDescriptor != nil || poll.GetProgress() != 1 || len(poll.GetInfo().GetEndpoint()) != 1 {
		t.Fatal(poll, err)
	}
	e := poll.Info.Endpoint[0]
	renewed, err := d.client.RenewFlightEndpoint(ctx, &arrowflight.RenewFlightEndpointRequest{Endpoint: e})
	if err != nil || string(renewed.GetTicket().GetTicket()) != string(e.GetTicket().GetTicket()) || renewed.ExpirationTime != nil {
		t.Error(renewed, err)
	}
	if n, _, err := d.read(ctx, poll.Info); n != 100 || err != nil {
		t.Error(n, err)
	}
	p := d.prepare(t, "SELECT 1")
	if poll, err = p.ExecutePoll(ctx, nil); err != nil || poll.GetProgress() != 1 {
		t.Fatal(poll, err)
	}
	if n, _, err := d.read(ctx, poll.Info); n != 100 || err != nil {
		t.Error(n, err)
	}
	_, err = d.client.ExecutePoll(ctx, "SELEC", nil)
	wantCode(t, err, fault.InvalidArgument, "syntax error")
	_, err = d.raw.PollFlightInfo(ctx, &arrowflight.FlightDescriptor{Type: arrowflight.DescriptorCMD, Cmd: []byte("\xff")})
	wantCode(t, err, fault.InvalidArgument, "")
}
