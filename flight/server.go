package flight

import (
	"context"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	arrowflight "github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/flight/flightsql"
	flightpb "github.com/apache/arrow-go/v18/arrow/flight/gen/flight"

	"google.golang.org/protobuf/proto"

	"skein/coordinator"
	"skein/internal/batch"
	"skein/internal/fault"
)

// Coordinator runs what clients ask for. Errors are classified by fault.
type Coordinator interface {
	// Prepare binds one statement without running it.
	Prepare(ctx context.Context, sql string) (*coordinator.Statement, error)
	// Query runs a statement that returns rows. params is one row or nil; it
	// is used only until the reader is closed. ctx lives until then, too.
	Query(ctx context.Context, sql string, params arrow.RecordBatch) (batch.Reader, error)
	// Execute runs a statement that only changes something, once for each row
	// of params; all of it takes effect or nothing. changed is -1 where the
	// number of rows is not known.
	Execute(ctx context.Context, sql string, params arrow.RecordBatch) (changed int64, err error)
	// Ingest stores all rows or none and returns how many.
	Ingest(ctx context.Context, in coordinator.Ingest, rows batch.Reader) (int64, error)
	// ListTables returns one page of the tables that match a pattern with *
	// and ?.
	ListTables(ctx context.Context, pattern string, page, limit int) (coordinator.TablePage, error)
	// Partitions divides a query into parts that are read one by one; nil where
	// it cannot be divided.
	Partitions(ctx context.Context, sql string) ([]coordinator.Partition, error)
	// ReadPartition reads a part that Partitions of any node gave. ctx lives
	// until the reader is closed.
	ReadPartition(ctx context.Context, fragment []byte) (batch.Reader, error)
	// ArrowSchema is the schema of a table's columns.
	ArrowSchema(ctx context.Context, table string) (*arrow.Schema, error)
}

// Fragments serves the tickets that nodes send one another.
type Fragments interface {
	// Match tells whether a ticket is one of them.
	Match(ticket []byte) bool
	// DoGet streams the fragment's result.
	DoGet(*arrowflight.Ticket, arrowflight.FlightService_DoGetServer) error
}

// Authenticator turns credentials into a token, which the client sends as
// "authorization: Bearer" with every later call.
type Authenticator interface {
	Basic(user, password string) (token string, err error)
}

// Options of a Server.
type Options struct {
	Version       string        // told to clients; "dev" if empty
	Authenticator Authenticator // any credentials will do if nil
	PreparedMax   int           // prepared statements held; 10,000 if zero
	PreparedBytes int64         // of their SQL and parameters; 256 MiB if zero
	PreparedIdle  time.Duration // after which one is forgotten; 1 h if zero; transactions likewise

	Parallel bool                         // an endpoint for each part of a result, unless the client asks for one
	PartKey  []byte                       // signs the tickets of parts: the same on all nodes; this node's own if empty
	PartLife time.Duration                // of such a ticket; 10 min if zero
	Address  string                       // host:port of this node for clients; none if empty
	TLS      bool                         // addresses are reached by TLS
	User     func(context.Context) string // name of the caller, whose tickets nobody else may use; nil: all are one
}

func (o Options) withDefaults() Options {
	if o.Version == "" {
		o.Version = "dev"
	}
	if o.PreparedMax == 0 {
		o.PreparedMax = 10_000
	}
	if o.PreparedBytes == 0 {
		o.PreparedBytes = 256 << 20
	}
	if o.PreparedIdle == 0 {
		o.PreparedIdle = time.Hour
	}
	if o.PartLife == 0 {
		o.PartLife = 10 * time.Minute
	}
	return o
}

// Limits of one statement.
const (
	SQLBytesMax   = 1 << 20  // of its text
	ParamRowsMax  = 65_536   // rows of parameters; each is one execution
	ParamBytesMax = 16 << 20 // of them
)

// Server serves Flight SQL and, where there are fragments, the tickets of
// other nodes. Register it with arrowflight.RegisterFlightServiceServer.
type Server struct {
	arrowflight.FlightServer // routes Flight SQL commands to sql
	sql                      *sqlServer
	fragments                Fragments
	auth                     Authenticator
}

// NewServer returns a server over c. fragments may be nil.
func NewServer(c Coordinator, fragments Fragments, o Options) *Server {
	o = o.withDefaults()
	s := &sqlServer{coord: c, prepared: newPreparedTable(o), transactions: newTransactions(o), running: newRunning(), parts: newParts(o), info: sqlInfo(o)}
	return &Server{FlightServer: flightsql.NewFlightServer(s), sql: s, fragments: fragments, auth: o.Authenticator}
}

// Close forgets all prepared statements. Calls must be over.
func (s *Server) Close() { s.sql.prepared.close() }

// GetFlightInfo implements the Flight service.
func (s *Server) GetFlightInfo(ctx context.Context, d *arrowflight.FlightDescriptor) (info *arrowflight.FlightInfo, err error) {
	defer conclude(&err)
	return s.FlightServer.GetFlightInfo(ctx, d)
}

// GetSchema implements the Flight service.
func (s *Server) GetSchema(ctx context.Context, d *arrowflight.FlightDescriptor) (schema *arrowflight.SchemaResult, err error) {
	defer conclude(&err)
	return s.FlightServer.GetSchema(ctx, d)
}

// PollFlightInfo implements the Flight service. A query runs as its rows are
// fetched, so that it is ready to be fetched at the first poll.
func (s *Server) PollFlightInfo(ctx context.Context, d *arrowflight.FlightDescriptor) (_ *arrowflight.PollInfo, err error) {
	defer conclude(&err)
	info, err := s.FlightServer.GetFlightInfo(ctx, d)
	if err != nil {
		return nil, err
	}
	ready := 1.0
	return &arrowflight.PollInfo{Info: info, Progress: &ready}, nil
}

// DoGet implements the Flight service. Results of statements and fragments go
// out straight from their readers; the library's channel of chunks would leak
// the batch at hand when a client vanishes.
func (s *Server) DoGet(t *arrowflight.Ticket, stream arrowflight.FlightService_DoGetServer) (err error) {
	defer conclude(&err)
	if s.fragments != nil && s.fragments.Match(t.GetTicket()) {
		return s.fragments.DoGet(t, stream)
	}
	if handled, err := s.sql.doGet(t, stream); handled {
		return err
	}
	return s.FlightServer.DoGet(t, stream)
}

// DoPut implements the Flight service.
func (s *Server) DoPut(stream arrowflight.FlightService_DoPutServer) (err error) {
	defer conclude(&err)
	return s.FlightServer.DoPut(&checkedPut{FlightService_DoPutServer: stream})
}

// DoAction implements the Flight service.
func (s *Server) DoAction(a *arrowflight.Action, stream arrowflight.FlightService_DoActionServer) (err error) {
	defer conclude(&err)
	return s.FlightServer.DoAction(a, stream)
}

// ListActions implements the Flight service: the actions that work here.
func (s *Server) ListActions(_ *arrowflight.Empty, stream arrowflight.FlightService_ListActionsServer) error {
	for _, name := range []string{
		flightsql.CreatePreparedStatementActionType, flightsql.ClosePreparedStatementActionType,
		flightsql.BeginTransactionActionType, flightsql.EndTransactionActionType,
		flightsql.CancelQueryActionType, arrowflight.CancelFlightInfoActionType, arrowflight.RenewFlightEndpointActionType,
		arrowflight.SetSessionOptionsActionType, arrowflight.GetSessionOptionsActionType, arrowflight.CloseSessionActionType,
	} {
		if err := stream.Send(&arrowflight.ActionType{Type: name}); err != nil {
			return err
		}
	}
	return nil
}

// checkedPut refuses a stream whose first message names no command; the
// library takes it for granted.
type checkedPut struct {
	arrowflight.FlightService_DoPutServer
	started bool
}

// Recv implements the stream.
func (c *checkedPut) Recv() (*arrowflight.FlightData, error) {
	d, err := c.FlightService_DoPutServer.Recv()
	if err == nil && !c.started && d.GetFlightDescriptor() == nil {
		return nil, fault.New(fault.InvalidArgument, "the first message of a put carries no flight descriptor")
	}
	c.started = true
	return d, err
}

// conclude turns a call's error into a status.
func conclude(err *error) { *err = fault.Status(*err) }

// sqlServer holds the Flight SQL commands. Its errors are made into statuses
// by Server.
type sqlServer struct {
	flightsql.BaseServer
	coord        Coordinator
	prepared     *preparedTable
	transactions *transactions
	running      *running
	parts        *parts
	info         flightsql.SqlInfoResultMap
}

// parseTicket returns the message in a ticket of a statement; nil if it is
// none.
func parseTicket(t *arrowflight.Ticket) proto.Message {
	m, err := unmarshalAny(t.GetTicket())
	if err != nil {
		return nil
	}
	switch m := m.(type) {
	case *flightpb.TicketStatementQuery, *flightpb.CommandPreparedStatementQuery:
		return m
	}
	return nil
}
