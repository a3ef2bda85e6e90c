package flight

import (
	"context"
	"crypto/rand"
	"strings"
	"sync"

	arrowflight "github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/flight/flightsql"
	flightpb "github.com/apache/arrow-go/v18/arrow/flight/gen/flight"

	"skein/internal/fault"
)

// The handle in a statement's ticket is the query's own name, which tells it
// from others of the same text, and the text: a ticket is good for ever, on
// every node.
const handleNameLen = 26 // of rand.Text

func newHandle(sql string) []byte { return []byte(rand.Text() + sql) }

// readHandle returns the text of a statement's handle.
func readHandle(handle []byte) (sql string, err error) {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	if len(handle) <= handleNameLen || len(handle) > handleNameLen+SQLBytesMax || strings.Trim(string(handle[:handleNameLen]), letters) != "" {
		return "", fault.New(fault.InvalidArgument, "the ticket is not one of this server")
	}
	return string(handle[handleNameLen:]), nil
}

// canceledMax is how many tickets are remembered as cancelled.
const canceledMax = 10_000

// running knows the queries whose rows are being sent, by ticket, so that they
// can be cancelled; and the tickets that were cancelled before they ran.
type running struct {
	mu       sync.Mutex
	stops    map[string]map[int]context.CancelCauseFunc
	next     int
	canceled map[string]bool
	order    []string // of canceled, oldest first
}

func newRunning() *running {
	return &running{stops: map[string]map[int]context.CancelCauseFunc{}, canceled: map[string]bool{}}
}

// begin gives the context of a ticket's query. The caller calls done when it
// is over.
func (r *running) begin(ctx context.Context, ticket []byte) (_ context.Context, done func(), err error) {
	key := string(ticket)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.canceled[key] {
		return nil, nil, fault.New(fault.NotFound, "the query was cancelled: run the statement again")
	}
	ctx, stop := context.WithCancelCause(ctx)
	n := r.next
	r.next++
	if r.stops[key] == nil {
		r.stops[key] = map[int]context.CancelCauseFunc{}
	}
	r.stops[key][n] = stop
	return ctx, func() {
		stop(nil)
		r.mu.Lock()
		defer r.mu.Unlock()
		if delete(r.stops[key], n); len(r.stops[key]) == 0 {
			delete(r.stops, key)
		}
	}, nil
}

// cancel stops the queries of a ticket. once tells that it is not good any
// more.
func (r *running) cancel(ticket []byte, once bool) (found bool) {
	key := string(ticket)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, stop := range r.stops[key] {
		stop(fault.New(fault.Canceled, "the query was cancelled"))
		found = true
	}
	if once && !r.canceled[key] {
		r.canceled[key] = true
		if r.order = append(r.order, key); len(r.order) > canceledMax {
			delete(r.canceled, r.order[0])
			r.order = r.order[1:]
		}
	}
	return found
}

// why is err, or why the query was stopped.
func why(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// CancelFlightInfo implements flightsql.Server, and serves CancelQuery. A
// statement's ticket is not good any more after that; a prepared statement can
// be run again.
func (s *sqlServer) CancelFlightInfo(ctx context.Context, r *arrowflight.CancelFlightInfoRequest) (arrowflight.CancelFlightInfoResult, error) {
	status, err := s.cancel(ctx, r.GetInfo().GetEndpoint())
	return arrowflight.CancelFlightInfoResult{Status: status}, err
}

func (s *sqlServer) cancel(ctx context.Context, endpoints []*arrowflight.FlightEndpoint) (arrowflight.CancelStatus, error) {
	if len(endpoints) == 0 {
		return arrowflight.CancelStatusUnspecified, fault.New(fault.InvalidArgument, "the flight info has no endpoint whose query could be cancelled")
	}
	status := arrowflight.CancelStatusNotCancellable
	for _, e := range endpoints {
		if err := s.known(ctx, e.GetTicket()); err != nil {
			return arrowflight.CancelStatusUnspecified, err
		}
		_, once := parseTicket(e.GetTicket()).(*flightpb.TicketStatementQuery)
		once = once || isPart(e.GetTicket().GetTicket())
		if s.running.cancel(e.GetTicket().GetTicket(), once) || once {
			status = arrowflight.CancelStatusCancelled
		}
	}
	return status, nil
}

// known refuses tickets that are of no statement here.
func (s *sqlServer) known(ctx context.Context, t *arrowflight.Ticket) error {
	if isPart(t.GetTicket()) {
		_, err := s.parts.fragment(ctx, t.GetTicket())
		return err
	}
	switch m := parseTicket(t).(type) {
	case *flightpb.TicketStatementQuery:
		_, err := readHandle(m.GetStatementHandle())
		return err
	case *flightpb.CommandPreparedStatementQuery:
		p, err := s.prepared.get(m.GetPreparedStatementHandle())
		if err == nil {
			p.release()
		}
		return err
	}
	return fault.New(fault.InvalidArgument, "the ticket is not one of a statement of this server")
}

// RenewFlightEndpoint implements flightsql.Server. Tickets of statements do
// not expire; those of prepared statements do not as long as these are used,
// which this call counts as; those of parts are made anew.
func (s *sqlServer) RenewFlightEndpoint(ctx context.Context, r *arrowflight.RenewFlightEndpointRequest) (*arrowflight.FlightEndpoint, error) {
	e := r.GetEndpoint()
	if isPart(e.GetTicket().GetTicket()) {
		return s.renewPart(ctx, e)
	}
	if err := s.known(ctx, e.GetTicket()); err != nil {
		return nil, err
	}
	return &arrowflight.FlightEndpoint{Ticket: e.GetTicket(), Location: e.GetLocation(), AppMetadata: e.GetAppMetadata()}, nil
}

var _ flightsql.Server = (*sqlServer)(nil)
